#include "actors/runtime.h"

#include "actors/cell.h"

namespace troupe::actors {

using detail::Cell;

Runtime::~Runtime() = default;

std::shared_ptr<detail::Recipient> Runtime::spawn_cell(std::string name, detail::ActorFactory factory,
                                                       const SpawnOptions& options, Cell* parent) {
  std::shared_ptr<Cell> cell;
  {
    const std::lock_guard lock(mutex_);
    const std::uint64_t number = ++last_number_;
    cell = std::make_shared<Cell>(*this, std::move(name), std::move(factory), options, parent, number);
    cells_.emplace(number, cell);
  }
  cell->start();
  return cell;
}

void Runtime::stop_cell(const std::shared_ptr<detail::Recipient>& recipient) {
  if (const auto cell = std::dynamic_pointer_cast<Cell>(recipient)) cell->end();
}

void Runtime::forget(const Cell& cell) {
  std::shared_ptr<Cell> forgotten;  // destroyed outside of the lock
  const std::lock_guard lock(mutex_);
  const auto found = cells_.find(cell.number());
  if (found == cells_.end()) return;
  forgotten = std::move(found->second);
  cells_.erase(found);
}

void Runtime::end_all_actors() {
  std::map<std::uint64_t, std::shared_ptr<Cell>> cells;
  {
    const std::lock_guard lock(mutex_);
    cells.swap(cells_);
  }
  for (auto youngest = cells.rbegin(); youngest != cells.rend(); ++youngest) youngest->second->destroy();
}

}  // namespace troupe::actors
