#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "tensor/parameter.h"
#include "tensor/tensor.h"

namespace troupe {

/// A parameter of a table, or some of its rows, found once: its values in a weight buffer, its gradient in
/// another. The table must outlive it.
class ParameterHandle {
 public:
  /// Throws kInternal when the table has no such parameter.
  ParameterHandle(const ParameterTable& table, const std::string& name, std::int64_t expert = -1)
      : table_(&table), index_(table.find(name, expert)), count_(table.specs()[index_].shape[0]) {}

  /// Rows [first, first + count) of this one's.
  [[nodiscard]] ParameterHandle rows(std::int64_t first, std::int64_t count) const {
    ParameterHandle part = *this;
    part.first_ += first;
    part.count_ = count;
    return part;
  }
  [[nodiscard]] std::int64_t row_count() const { return count_; }

  [[nodiscard]] ConstTensorView value(ConstTensorView buffer) const {
    return table_->view(buffer, index_).rows(first_, count_);
  }
  [[nodiscard]] TensorView gradient(TensorView buffer) const {
    return table_->view(buffer, index_).rows(first_, count_);
  }
  /// Where it starts in a buffer, in elements.
  [[nodiscard]] std::int64_t offset() const {
    const Shape& shape = table_->specs()[index_].shape;
    return table_->offset(index_) + first_ * (shape.elements() / shape[0]);
  }

 private:
  const ParameterTable* table_;
  std::size_t index_;
  std::int64_t first_ = 0;
  std::int64_t count_;
};

}  // namespace troupe
