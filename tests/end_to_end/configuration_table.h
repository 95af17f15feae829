#pragma once
#include <string>
#include <vector>

namespace troupe::test {

/// One option of the table: a name and the settings (`key=value`) of each of its values.
struct Factor {
  std::string name;
  struct Value {
    std::string name;
    std::vector<std::string> settings;
  };
  std::vector<Value> values;
};

/// A value of every factor, by index.
using Row = std::vector<std::size_t>;

/// Every option of routers, balancers, losses, capacity, dispatch and feed-forwards.
[[nodiscard]] const std::vector<Factor>& factors();

/// Settings of a row, to be put over configs/tiny.yaml.
[[nodiscard]] std::vector<std::string> settings(const Row& row);
[[nodiscard]] std::string describe(const Row& row);

/// Two values of two factors.
struct ValuePair {
  std::size_t first_factor, first_value, second_factor, second_value;
  [[nodiscard]] bool in(const Row& row) const {
    return row[first_factor] == first_value && row[second_factor] == second_value;
  }
};

/// Rows that `validate` accepts and that hold every pair of values it does not always refuse: a greedy
/// covering array, the same in every run.
struct ConfigurationTable {
  std::vector<Row> rows;
  std::vector<ValuePair> refused;  // in no acceptable row
};
[[nodiscard]] const ConfigurationTable& configuration_table();

}  // namespace troupe::test
