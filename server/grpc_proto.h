// SPDX-License-Identifier: Apache-2.0
// What the procedures' messages are, as descriptors of protobuf (FileDescriptorProto): for clients that ask the server
// instead of having .proto files (routes/grpc_reflection.c). Services and their procedures come from the routes.
#pragma once

#include "base/wire.h"

// The descriptor of the file that has a symbol ("inference.ModelInferRequest", a service, a procedure), or whose name
// it is. False: there is none.
bool grpc_proto_write(str symbol_or_file, wire_out *out);
// Steps through the services; *at begins with 0. NULL: no more.
const char *grpc_proto_service(size_t *at);
