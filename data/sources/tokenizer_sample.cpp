#include "data/sources/tokenizer_sample.h"

#include <algorithm>

namespace troupe::data {

void TokenizerSample::Domain::trim(std::int64_t limit) {
  while (!texts.empty() && bytes - static_cast<std::int64_t>(texts.top().text.size()) >= limit) {
    bytes -= static_cast<std::int64_t>(texts.top().text.size());
    texts.pop();
  }
}

void TokenizerSample::add(const std::string& domain, std::string_view text) {
  const ContentHash hash = content_hash(text);
  Domain& sample = domains_[domain];
  if (sample.bytes >= bytes_ && !(hash < sample.texts.top().hash)) return;
  sample.texts.push({hash, std::string(text)});
  sample.bytes += static_cast<std::int64_t>(text.size());
  sample.trim(bytes_);
}

std::vector<std::string> TokenizerSample::take() {
  std::vector<Text> texts;
  for (auto& [name, domain] : domains_) {
    domain.trim(bytes_ / static_cast<std::int64_t>(domains_.size()));
    for (; !domain.texts.empty(); domain.texts.pop()) texts.push_back(domain.texts.top());
  }
  domains_.clear();
  std::sort(texts.begin(), texts.end());
  std::vector<std::string> result;
  for (Text& text : texts) result.push_back(std::move(text.text));
  return result;
}

}  // namespace troupe::data
