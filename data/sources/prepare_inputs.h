#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "data/sources/document_parser.h"
#include "data/sources/input_reader.h"

namespace troupe::data {

struct InputsRequest {
  std::vector<std::string> inputs;  // files, folders, patterns; "-" is standard input
  std::filesystem::path output;
  /// A tokenizer.json, a folder that has one (a corpus, a run), or "train:8192" for a new one of that many
  /// entries.
  std::string tokenizer = "train:8192";
  ReadOptions read;
  ParseOptions parse;
  std::string domain;              // of all documents; empty: by folder or field
  double heldout_fraction = 0.01;  // of the documents; at least one
  std::int64_t cap_bytes = 0;      // of text per domain; 0: all
  std::int64_t max_errors = -1;    // broken documents before it fails; -1: any number
  double near_duplicates = 0.0;    // similarity above which documents are left out; 0: equal ones only
  bool keep_duplicates = false;
  int threads = 1;
};

/// How far a preparation is. Packed bytes of the inputs.
struct PrepareProgress {
  std::string what;
  std::int64_t done_bytes = 0;
  std::int64_t total_bytes = 0;
};

struct PrepareReport {
  bool worked = false;               // false: the output is of just these inputs already
  bool continued = false;            // took up an earlier preparation that was interrupted
  std::vector<std::string> notices;  // what was left out, a sentence each
};

/// Makes a corpus (as prepare_corpus does: tokenizer.json, train.h5, heldout.h5, corpus.json) of files of
/// text, JSON lines or tokens. Memory is bounded by the number of documents, not by their text; the result
/// does not depend on `threads`. What was done before an interruption is kept beside the output, in
/// OUTPUT.unfinished, and taken up by the next call with the same request; the output appears when it is
/// whole. Throws kConfig for a request that cannot be met, and when there are more broken documents than
/// allowed; kCorrupt for damaged files; kIo.
PrepareReport prepare_inputs(const InputsRequest& request,
                             const std::function<void(const PrepareProgress&)>& on_progress);

}  // namespace troupe::data
