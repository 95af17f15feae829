#pragma once
// Private to storage/hdf5/*.cpp: HDF5's C API with every return value checked.
#include <hdf5.h>

#include <string>
#include <string_view>

#include "base/error.h"
#include "storage/element_type.h"
#include "storage/hdf5/handle.h"

namespace troupe::storage::hdf5 {

/// What was being done, for messages.
struct Action {
  std::string_view file;
  std::string_view object;  // dataset, group or attribute; may be empty
  std::string_view verb;    // "open", "write", …
  /// What a failure means when the operating system did not refuse: kCorrupt while reading.
  ErrorCode otherwise = ErrorCode::kIo;
};

/// HDF5 prints its errors unless told otherwise, per thread. Call before the first use in a thread.
void silence_error_printing();

/// Error from HDF5's error stack: kIo when the operating system refused, else `action.otherwise`.
[[nodiscard]] Error stack_error(const Action& action);

/// Error for a file that is not what it should be.
[[nodiscard]] Error corrupt(const Action& action, std::string_view reason);

/// Passes on a result of HDF5 that is not negative; throws stack_error otherwise.
template <class Result>
Result check(Result result, const Action& action) {
  if (result < 0) throw stack_error(action);
  return result;
}

/// An owned identifier, or stack_error.
[[nodiscard]] inline Handle checked_handle(hid_t id, Handle::Closer closer, const Action& action) {
  return {check(id, action), closer};
}

/// HDF5's little-endian type; owned by the library, not to be closed.
[[nodiscard]] hid_t file_type(ElementType type);

}  // namespace troupe::storage::hdf5
