#pragma once

namespace quern {

// Asks long work to stop: safe to call from a signal handler. The work ends with an Error at its
// next piece, so that what it had begun to write is removed on the way out.
void RequestCancel();
void ThrowIfCancelled();

}  // namespace quern
