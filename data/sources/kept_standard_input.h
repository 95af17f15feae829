#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace troupe::data {

/// Standard input as a file beside the output, as long as this lives: it is read twice. "-" is replaced by
/// its name.
class KeptStandardInput {
 public:
  KeptStandardInput(std::vector<std::string>& inputs, const std::filesystem::path& output);
  KeptStandardInput(const KeptStandardInput&) = delete;
  KeptStandardInput& operator=(const KeptStandardInput&) = delete;
  ~KeptStandardInput();

 private:
  void keep(const std::filesystem::path& path);

  std::filesystem::path path_;
};

}  // namespace troupe::data
