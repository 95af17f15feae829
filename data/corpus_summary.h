#pragma once
#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace troupe::data {

struct TextAmount {
  std::int64_t documents = 0;
  std::int64_t tokens = 0;   // frames included
  std::int64_t bytes = 0;    // of text
  std::int64_t trained = 0;  // tokens that are predicted; the others are context only
};

struct DomainSummary {
  std::string name;
  std::string language;
  TextAmount train;
  TextAmount heldout;
};

/// What a prepared corpus holds.
struct CorpusSummary {
  std::string name;
  std::int64_t vocab_size = 0;
  std::string tokenizer_hash;
  std::string content_hash;  // CorpusIdentity::hash()
  bool masked = false;       // some tokens are context only
  std::vector<DomainSummary> domains;
  std::vector<double> weights = {};  // of the domains in training; empty: by size
};

/// Reads every token of a folder written by prepare_corpus. Throws kConfig when it is none, kCorrupt when its
/// files are damaged or do not belong together.
[[nodiscard]] CorpusSummary summarize_corpus(const std::filesystem::path& folder);

/// Compares every byte of the folder's files with the hashes that were written with them, also those that
/// mean nothing. Throws kCorrupt, naming the first file that differs.
void verify_corpus(const std::filesystem::path& folder);

/// A table for people, and one JSON object for programs.
[[nodiscard]] std::string to_text(const CorpusSummary& summary);
[[nodiscard]] std::string to_json(const CorpusSummary& summary);

}  // namespace troupe::data
