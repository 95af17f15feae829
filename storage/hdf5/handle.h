#pragma once
#include <cstdint>

namespace troupe::storage::hdf5 {

/// An HDF5 identifier (hid_t): move-only, closed by the destructor (which logs, never throws).
class Handle {
 public:
  using Closer = int (*)(std::int64_t);

  Handle() = default;
  Handle(std::int64_t id, Closer closer) : id_(id), closer_(closer) {}
  Handle(Handle&& other) noexcept;
  Handle& operator=(Handle&& other) noexcept;
  ~Handle();

  [[nodiscard]] std::int64_t id() const { return id_; }
  [[nodiscard]] bool valid() const { return id_ >= 0; }
  /// Closes now; false when HDF5 reports a failure (its error stack is then filled).
  [[nodiscard]] bool close();

 private:
  std::int64_t id_ = -1;
  Closer closer_ = nullptr;
};

}  // namespace troupe::storage::hdf5
