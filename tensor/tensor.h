#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <type_traits>

#include "base/device_kind.h"
#include "base/error.h"
#include "base/index.h"
#include "tensor/shape.h"

namespace troupe {

enum class DType : std::uint8_t { kF32, kBF16, kI32, kF64 };

class Accelerator;

[[nodiscard]] std::int64_t size_bytes(DType dtype);

/// Alignment of every tensor's first element.
inline constexpr std::size_t kTensorAlignment = 64;

/// Non-owning, row-major, trivially copyable. Rows (index 0) may lie further apart than a row is
/// long (`row_stride`, in elements), as for a range of columns of a wider matrix; ops that need
/// contiguous data say so and check it.
template <bool kConst>
class BasicTensorView {
  using Byte = std::conditional_t<kConst, const std::byte, std::byte>;
  template <class T>
  using Element = std::conditional_t<kConst, const T, T>;

 public:
  BasicTensorView() = default;
  BasicTensorView(Byte* data, const Shape& shape, DType dtype, DeviceKind device, std::int64_t row_stride)
      : data_(data), shape_(shape), dtype_(dtype), device_(device), row_stride_(row_stride) {}
  /// A contiguous host matrix or vector over someone's floats or ints.
  BasicTensorView(Element<float>* data, const Shape& shape)
      : BasicTensorView(reinterpret_cast<Byte*>(data), shape, DType::kF32, DeviceKind::kCpu,
                        contiguous_stride(shape)) {}
  BasicTensorView(Element<std::int32_t>* data, const Shape& shape)
      : BasicTensorView(reinterpret_cast<Byte*>(data), shape, DType::kI32, DeviceKind::kCpu,
                        contiguous_stride(shape)) {}
  /// Someone's host floats or doubles as a vector.
  template <class Range>
  // NOLINTNEXTLINE: a flat buffer is its view; the constraint leaves copies and moves alone
  requires std::is_convertible_v<Range, std::span<Element<float>>> BasicTensorView(Range&& values)
      : BasicTensorView(std::span<Element<float>>(values), DType::kF32) {}
  template <class Range>
  // NOLINTNEXTLINE: as above
  requires std::is_convertible_v<Range, std::span<Element<double>>> BasicTensorView(Range&& values)
      : BasicTensorView(std::span<Element<double>>(values), DType::kF64) {}

  operator BasicTensorView<true>() const  // NOLINT: a mutable view is a const view
      requires(!kConst) {
    return {data_, shape_, dtype_, device_, row_stride_};
  }

  [[nodiscard]] const Shape& shape() const { return shape_; }
  [[nodiscard]] std::int64_t rows() const { return shape_[0]; }
  /// Elements of one row: the product of all sizes but the first.
  [[nodiscard]] std::int64_t columns() const { return contiguous_stride(shape_); }
  [[nodiscard]] std::int64_t row_stride() const { return row_stride_; }
  [[nodiscard]] std::int64_t elements() const { return shape_.elements(); }
  [[nodiscard]] DType dtype() const { return dtype_; }
  [[nodiscard]] DeviceKind device() const { return device_; }
  [[nodiscard]] bool contiguous() const { return row_stride_ == columns() || rows() <= 1; }

  /// First element, on the host; throws kInternal when the dtype is another, or the memory a device's.
  [[nodiscard]] Element<float>* f32() const { return on_host<float>(DType::kF32); }
  [[nodiscard]] Element<std::int32_t>* i32() const { return on_host<std::int32_t>(DType::kI32); }
  [[nodiscard]] Element<double>* f64() const { return on_host<double>(DType::kF64); }
  /// Where it is, in whatever memory: not to be read without knowing.
  [[nodiscard]] Byte* data() const { return data_; }
  /// First element in a device's memory; throws kInternal on the host's, and for another dtype.
  template <class T>
  [[nodiscard]] Element<T>* device_data() const {
    constexpr DType kExpected = std::is_same_v<T, float>    ? DType::kF32
                                : std::is_same_v<T, double> ? DType::kF64
                                                            : DType::kI32;
    static_assert(kExpected != DType::kI32 || std::is_same_v<T, std::int32_t>);
    TROUPE_CHECK(dtype_ == kExpected && (device_ == DeviceKind::kCuda || elements() == 0),
                 "a view of another dtype, or in host memory, for an op on a device: shape {}",
                 shape_.to_string());
    return reinterpret_cast<Element<T>*>(data_);
  }

  /// All elements of a contiguous f32 view on the host.
  [[nodiscard]] std::span<Element<float>> floats() const { return {checked_first(f32()), count()}; }
  /// The same of an f64 view.
  [[nodiscard]] std::span<Element<double>> doubles() const { return {checked_first(f64()), count()}; }

  /// Rows [first, first + count).
  [[nodiscard]] BasicTensorView rows(std::int64_t first, std::int64_t count) const {
    TROUPE_CHECK(first >= 0 && count >= 0 && first + count <= rows(), "rows {}+{} of {}", first, count,
                 shape_.to_string());
    Shape shape = with_rows(count);
    return {data_ + first * row_stride_ * size_bytes(dtype_), shape, dtype_, device_, row_stride_};
  }
  /// Columns [first, first + count) of a matrix: same rows, a strided view.
  [[nodiscard]] BasicTensorView columns(std::int64_t first, std::int64_t count) const {
    TROUPE_CHECK(shape_.rank() == 2 && first >= 0 && count >= 0 && first + count <= shape_[1],
                 "columns {}+{} of {}", first, count, shape_.to_string());
    return {data_ + first * size_bytes(dtype_), Shape{rows(), count}, dtype_, device_, row_stride_};
  }
  /// Same elements under another shape; contiguous views only.
  [[nodiscard]] BasicTensorView reshaped(const Shape& shape) const {
    TROUPE_CHECK(contiguous() && shape.elements() == elements(), "cannot reshape {} to {}",
                 shape_.to_string(), shape.to_string());
    return {data_, shape, dtype_, device_, contiguous_stride(shape)};
  }

 private:
  template <class T>
  BasicTensorView(std::span<T> values, DType dtype)
      : data_(reinterpret_cast<Byte*>(values.data())),
        shape_({static_cast<std::int64_t>(values.size())}),
        dtype_(dtype),
        row_stride_(1) {}
  static std::int64_t contiguous_stride(const Shape& shape) {
    std::int64_t stride = 1;
    for (int i = 1; i < shape.rank(); ++i) stride *= shape[i];
    return stride;
  }
  [[nodiscard]] Shape with_rows(std::int64_t count) const {
    switch (shape_.rank()) {
      case 1:
        return Shape{count};
      case 2:
        return Shape{count, shape_[1]};
      case 3:
        return Shape{count, shape_[1], shape_[2]};
      default:
        return Shape{count, shape_[1], shape_[2], shape_[3]};
    }
  }
  template <class T>
  [[nodiscard]] Element<T>* on_host(DType expected) const {
    TROUPE_CHECK(dtype_ == expected && device_ == DeviceKind::kCpu,
                 "a view of another dtype, or in device memory, for the host: shape {}", shape_.to_string());
    return reinterpret_cast<Element<T>*>(data_);
  }
  template <class T>
  [[nodiscard]] T* checked_first(T* first) const {
    TROUPE_CHECK(contiguous(), "all elements of a strided view {}", shape_.to_string());
    return first;
  }
  [[nodiscard]] std::size_t count() const { return at(elements()); }

  Byte* data_ = nullptr;
  Shape shape_;
  DType dtype_ = DType::kF32;
  DeviceKind device_ = DeviceKind::kCpu;
  std::int64_t row_stride_ = 0;
};

using TensorView = BasicTensorView<false>;
using ConstTensorView = BasicTensorView<true>;

/// Owns its memory, zero-initialised, aligned to kTensorAlignment. Move-only.
class Tensor {
 public:
  Tensor() = default;
  /// On the host, or on a device, which must outlive it.
  explicit Tensor(const Shape& shape, DType dtype = DType::kF32, Accelerator* accelerator = nullptr);

  [[nodiscard]] TensorView view() { return {data_.get(), shape_, dtype_, device(), stride_}; }
  [[nodiscard]] ConstTensorView view() const { return {data_.get(), shape_, dtype_, device(), stride_}; }
  [[nodiscard]] DeviceKind device() const {
    return data_.get_deleter().accelerator == nullptr ? DeviceKind::kCpu : DeviceKind::kCuda;
  }
  operator TensorView() { return view(); }             // NOLINT: a tensor is its view
  operator ConstTensorView() const { return view(); }  // NOLINT
  [[nodiscard]] const Shape& shape() const { return shape_; }
  [[nodiscard]] float* f32() { return view().f32(); }
  [[nodiscard]] const float* f32() const { return view().f32(); }
  [[nodiscard]] std::int32_t* i32() { return view().i32(); }
  [[nodiscard]] const std::int32_t* i32() const { return view().i32(); }
  [[nodiscard]] std::int64_t elements() const { return shape_.elements(); }
  [[nodiscard]] std::span<float> floats() { return view().floats(); }
  [[nodiscard]] std::span<const float> floats() const { return view().floats(); }

 private:
  struct Free {
    Free() : accelerator(nullptr) {}
    explicit Free(Accelerator* device) : accelerator(device) {}
    void operator()(std::byte* data) const;
    Accelerator* accelerator;  // of device memory
  };
  std::unique_ptr<std::byte, Free> data_;
  Shape shape_;
  DType dtype_ = DType::kF32;
  std::int64_t stride_ = 0;
};

}  // namespace troupe
