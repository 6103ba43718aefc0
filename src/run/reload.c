// SPDX-License-Identifier: Apache-2.0
// Weights that were let go once they were packed (plan/weights.h), asked for again: the model is loaded once more from
// the file that it came from, which is still open, and gives them. A load is deterministic, so the constants of both
// graphs correspond one to one; their hashes show whether the file has changed.
#include <unistd.h>

#include "run/session.h"

static sdx_status load_again(const sdx_session *s, sdx_session *again) {
  again->account.parent = (mem_account *)&s->account;
  again->size = s->size;
  again->source = dup(s->source);
  again->file = s->file;
  return session_prepare(again);
}

static sdx_status restore(void *context, error *err) {
  sdx_session *s = context, *again = session_create(s->options);
  if (!again) return error_no_memory(err, sizeof *again);
  sdx_status status = load_again(s, again);
  if (status == SDX_OK && !weights_copy_back(&s->weights, &again->weights))
    status = error_set(&again->err, SDX_IO_ERROR,
                       "other weights are in it now; load it anew, and replace models by renaming");
  if (status != SDX_OK)
    error_set(err, status,
              "weights are needed in another form for these shapes, but the model cannot be read again: %s",
              again->err.message);
  sdx_session_destroy(again);
  return status;
}

sdx_status session_list_weights(sdx_session *s) {
  weights_file file = {.bytes = s->bytes,
                       .size = s->size,
                       .mapped = s->bytes_kind == BYTES_MAPPED,
                       .lent = s->bytes_kind == BYTES_BORROWED};
  SDX_TRY(weights_init(&s->weights, s->main, &s->account, &file, &s->err));
  s->weights.context = s;
  if (s->source >= 0) s->weights.restore = restore;
  return SDX_OK;
}
