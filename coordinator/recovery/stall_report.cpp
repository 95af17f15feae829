#include "coordinator/recovery/stall_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace troupe::coordinator {
namespace {

constexpr std::size_t kNamed = 4;

struct Rank {
  const StalledProcess* process;
  const comm::RankPlace* place;
};

std::vector<Rank> ranks_of(std::span<const StalledProcess> processes) {
  std::vector<Rank> ranks;
  for (const StalledProcess& process : processes)
    for (const comm::RankPlace& place : process.activity.places) ranks.push_back({&process, &place});
  return ranks;
}

/// Whether `a` holds up `b`: it is not as far.
bool is_behind(const Rank& a, const Rank& b) {
  if (a.process->silent != b.process->silent) return a.process->silent;
  if (a.place->collectives != b.place->collectives) return a.place->collectives < b.place->collectives;
  return a.place->collective.empty() && !b.place->collective.empty();
}

std::string place_text(const Rank& rank) {
  std::string text = fmt::format("step {}, {}", rank.process->activity.step, rank.process->activity.activity);
  if (rank.process->activity.activity == "training")
    text = fmt::format("step {}, {}", rank.process->activity.step, rank.place->phase);
  if (rank.place->layer >= 0) text += fmt::format(", layer {}", rank.place->layer);
  if (!rank.place->collective.empty()) text += ", " + rank.place->collective;
  return text;
}

std::string name(const Rank& rank) {
  return fmt::format("worker {} (host {}, process {})", rank.place->rank, rank.process->host,
                     rank.process->process_id);
}

std::string list(std::span<const Rank> ranks, std::string_view verb) {
  std::string text;
  for (const Rank& rank : ranks.first(std::min(ranks.size(), kNamed))) {
    if (!text.empty()) text += ", ";
    text += fmt::format("{} {} {}", name(rank), verb, place_text(rank));
    if (rank.process->silent) text += ", and is silent";
  }
  if (ranks.size() > kNamed) text += fmt::format(" and {} more", ranks.size() - kNamed);
  return text;
}

}  // namespace

std::string describe_places(std::span<const StalledProcess> processes) {
  std::vector<Rank> ranks = ranks_of(processes);
  if (ranks.empty()) return {};
  std::ranges::stable_sort(ranks, is_behind);
  const auto first_waiting =
      std::ranges::find_if(ranks, [&](const Rank& rank) { return is_behind(ranks.front(), rank); });
  const auto behind = static_cast<std::size_t>(first_waiting - ranks.begin());
  const std::string text = ": " + list(std::span(ranks).first(behind), "stands in");
  if (behind == ranks.size()) return text + (behind > 1 ? ": none is behind the others" : "");
  return text + fmt::format("; {} {} for {}", list(std::span(ranks).subspan(behind), "is in"),
                            ranks.size() - behind == 1 ? "and waits" : "and wait",
                            behind == 1 ? "it" : "them");
}

std::string describe_stall(std::span<const StalledProcess> processes, Duration stood_still,
                           Duration median_step) {
  std::string text = fmt::format("no worker got any further for {:.1f} s", seconds(stood_still));
  if (median_step > Duration::zero()) text += fmt::format(" (a step takes {:.2g} s)", seconds(median_step));
  return text + describe_places(processes);
}

}  // namespace troupe::coordinator
