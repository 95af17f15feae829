#include "layout/load_statistics.h"

#include <algorithm>
#include <array>

namespace troupe::layout {
namespace {

template <class Statistics>
auto tables(Statistics& s) {
  return std::array{&s.counts, &s.unbiased, &s.dropped, &s.margins, &s.domains, &s.co_activation};
}

}  // namespace

LoadStatistics::LoadStatistics(const LoadShape& shape)
    : counts(shape.layers, shape.choices),
      unbiased(shape.layers, shape.choices),
      dropped(shape.layers, shape.capacity ? shape.experts : 0),
      margins(shape.layers, shape.experts * shape.margin_bins),
      domains(shape.layers, shape.domains * shape.choices),
      co_activation(shape.layers, shape.co_activation ? shape.experts * shape.experts : 0) {}

LayerStatistics LoadStatistics::layer(int index) {
  return {counts.layer(index),  unbiased.layer(index), dropped.layer(index),
          margins.layer(index), domains.layer(index),  co_activation.layer(index)};
}

void LoadStatistics::clear() {
  for (LoadCounts* table : tables(*this)) std::ranges::fill(table->all(), 0);
}

std::int64_t LoadStatistics::size() const {
  std::int64_t size = 0;
  for (const LoadCounts* table : tables(*this)) size += std::ssize(table->all());
  return size;
}

void LoadStatistics::add_to(std::span<std::int64_t> words) const {
  auto word = words.begin();
  for (const LoadCounts* table : tables(*this)) {
    for (const std::int64_t count : table->all()) *word++ += count;
  }
}

void LoadStatistics::assign(std::span<const std::int64_t> words) {
  auto word = words.begin();
  for (LoadCounts* table : tables(*this)) {
    for (std::int64_t& count : table->all()) count = *word++;
  }
}

}  // namespace troupe::layout
