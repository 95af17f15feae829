#include "base/error.h"
#include "configs/load.h"
#include "coordinator/job/hostfile.h"
#include "coordinator/job/slurm_allocation.h"
#include "data/chat/chat_line.h"
#include "data/corpus/json_lines.h"
#include "data/tokenizer/tokenizer_json.h"
#include "tests/fuzz/targets.h"

namespace troupe::fuzz {
namespace {

template <class Line>
void each_line(std::string_view text, Line line) {
  while (!text.empty()) {
    line(text.substr(0, text.find('\n')));
    text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
  }
}

}  // namespace

void read_config(std::string_view bytes) {
  const configs::RunConfig config = configs::parse_config(bytes, "fuzz.yaml", {});
  const std::string dumped = configs::dump(config);
  if (configs::dump(configs::parse_config(dumped, "dumped", {})) != dumped)
    throw Error(ErrorCode::kInternal, "a configuration changes when it is written and read");
}

/// What is accepted must also work: every byte comes back.
void read_tokenizer(std::string_view bytes) {
  const data::Tokenizer tokenizer = data::parse_tokenizer_json(bytes, "fuzz.json");
  const std::string text = "Hello, w\xC3\xB6rld 123\n";
  if (tokenizer.decode(tokenizer.encode(text)) != text)
    throw Error(ErrorCode::kInternal, "an accepted tokenizer does not give the text back");
}

void read_json_lines(std::string_view bytes) {
  each_line(bytes, [](std::string_view line) {
    static_cast<void>(data::parse_json_line(line, {.text = "text", .domain = "meta.source"}));
    static_cast<void>(data::parse_chat_line(line, "meta.source"));
  });
}

void read_hosts(std::string_view bytes) {
  static_cast<void>(coordinator::expand_node_list(bytes));
  const auto hosts = coordinator::parse_hostfile(bytes, "hosts");
  if (coordinator::parse_hostfile(coordinator::format_hostfile(hosts), "again") != hosts)
    throw Error(ErrorCode::kInternal, "a hostfile changes when it is written and read");
}

}  // namespace troupe::fuzz
