#include "data/sources/journal.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/index.h"

namespace troupe::data {
namespace {

using nlohmann::json;

constexpr const char* kJournalFile = "journal.json";
constexpr std::size_t kMaxJournalBytes = std::size_t{64} << 20;
constexpr auto kFaults = at(Fault::kCount);

json to_json(const FaultCounts& faults) {
  json counts = json::array();
  for (std::size_t i = 0; i < kFaults; ++i) {
    const FaultCounts::Count& count = faults.of(static_cast<Fault>(i));
    counts.push_back({count.documents, count.bytes, count.first});
  }
  return counts;
}

FaultCounts faults_from(const json& counts) {
  FaultCounts faults;
  for (std::size_t i = 0; i < kFaults; ++i) {
    const json& count = counts.at(i);
    faults.set(static_cast<Fault>(i), {count.at(0).get<std::int64_t>(), count.at(1).get<std::int64_t>(),
                                       count.at(2).get<std::string>()});
  }
  return faults;
}

Journal from_json(const json& value) {
  return {.inputs = value.at("inputs").get<std::string>(),
          .position = {value.at("file").get<std::int64_t>(), value.at("file_documents").get<std::int64_t>()},
          .documents = value.at("documents").get<std::int64_t>(),
          .bands = value.at("bands").get<std::int64_t>(),
          .domains = value.at("domains").get<std::vector<std::string>>(),
          .faults = faults_from(value.at("faults"))};
}

}  // namespace

std::optional<Journal> read_journal(const std::filesystem::path& folder) {
  if (!std::filesystem::exists(folder / kJournalFile)) return std::nullopt;
  try {
    return from_json(json::parse(read_file(folder / kJournalFile, kMaxJournalBytes)));
  } catch (const json::exception&) {
    return std::nullopt;
  }
}

void write_journal(const Journal& journal, const std::filesystem::path& folder) {
  const json value{{"inputs", journal.inputs},
                   {"file", journal.position.file},
                   {"file_documents", journal.position.documents},
                   {"documents", journal.documents},
                   {"bands", journal.bands},
                   {"domains", journal.domains},
                   {"faults", to_json(journal.faults)}};
  // Places in messages may hold file names that are no UTF-8.
  write_file_atomically(folder / kJournalFile,
                        value.dump(1, ' ', false, json::error_handler_t::replace) + "\n");
}

}  // namespace troupe::data
