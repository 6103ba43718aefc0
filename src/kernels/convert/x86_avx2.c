// SPDX-License-Identifier: Apache-2.0
// convert for this tier; see f16c.inl.
#include "kernels/convert/f16c.inl"
