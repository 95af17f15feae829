#pragma once
#include <cstdint>
#include <memory>
#include <span>

#include "base/index.h"
#include "comm/collectives/communicator.h"
#include "layers/pass.h"
#include "layout/options.h"
#include "tensor/tensor.h"

namespace troupe::experts {

/// Rows that every rank of a group sends to every rank in one exchange. A view.
class RowTable {
 public:
  /// rows: [size, size], of `from` to `to`; back: the same rows on their way back.
  RowTable(std::span<const std::int64_t> rows, int size, bool back) : rows_(rows), size_(size), back_(back) {}

  [[nodiscard]] int size() const { return size_; }
  [[nodiscard]] RowTable reversed() const { return {rows_, size_, !back_}; }
  [[nodiscard]] std::int64_t operator()(int from, int to) const {
    return rows_[at(back_ ? to * size_ + from : from * size_ + to)];
  }

 private:
  std::span<const std::int64_t> rows_;
  int size_;
  bool back_;
};

/// How the ranks of an expert group exchange rows. Rows are copied, never added: which way they go
/// changes no bit of what arrives. One per group, used from the compute thread; all methods are
/// collective over the group, and at most one exchange is under way. Errors: those of the communicator.
class Exchange {
 public:
  virtual ~Exchange() = default;

  [[nodiscard]] virtual int rank() const = 0;
  [[nodiscard]] virtual int size() const = 0;
  /// Whether nothing moves: then `from` and `to` of start() must be the same buffer.
  [[nodiscard]] virtual bool in_place() const { return false; }

  /// Every rank's numbers to every rank. mine: [n], the same n on all ranks; all: [size, n]
  virtual void gather(std::span<const std::int32_t> mine, std::span<std::int32_t> all) = 0;

  /// Starts to move rows: of `from`, by destination ascending, to `to`, by source ascending. Scratch lies
  /// in the pass's arena until the exchange is complete, as do both buffers.
  ///   from: [rows this rank sends, columns], to: [rows it receives, columns], of one dtype
  [[nodiscard]] virtual comm::Pending start(const Pass& pass, const RowTable& rows, ConstTensorView from,
                                            TensorView to) = 0;
};

/// All bytes of a contiguous view on the host.
[[nodiscard]] inline std::span<const std::byte> bytes_of(const ConstTensorView& view) {
  TROUPE_CHECK(view.contiguous() && view.device() == DeviceKind::kCpu,
               "bytes of a strided view, or in device memory: {}", view.shape().to_string());
  return {view.data(), at(view.elements() * size_bytes(view.dtype()))};
}
[[nodiscard]] inline std::span<std::byte> bytes_of(const TensorView& view) {
  return {view.data(), bytes_of(ConstTensorView(view)).size()};
}

/// The exchange of `parallel.dispatch`. Collective; the communicator must outlive it.
[[nodiscard]] std::unique_ptr<Exchange> make_exchange(comm::Communicator& communicator,
                                                      const layout::DispatchOptions& options);

}  // namespace troupe::experts
