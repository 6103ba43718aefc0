// SPDX-License-Identifier: Apache-2.0
// PyTorch's other files: TorchScript and weights without their model are programs, or need one, so the user's own
// Python reads them (program.h), and PyTorch exports them.
#include "convert/format.h"

CONVERT_FORMAT(pytorch) = {
    .name = "pytorch",
    .title = "PyTorch",
    .files = "TorchScript, state dict (.pt, .pth), by your own Python with torch (--trust, --shape, --class)",
    .kinds = CONVERT_KINDS("pytorch", "pytorch-legacy"),
    .takes_shape = true,
    .program = "pytorch.py",
};
