#include "comm/control/options.h"

namespace troupe::comm {

void describe(Fields& fields, ControlOptions& options) {
  fields.text("address", options.address,
              "Where the coordinator listens for its workers: an address of this host that they can reach; "
              "0.0.0.0: all of them; auto: 127.0.0.1, and with workers on other hosts the one that the route "
              "to them begins at");
  fields.integer("port", options.port, {0, 65535}, "Port of the coordinator; 0: any free one");
  fields.real("heartbeat_seconds", options.heartbeat_seconds, {0.01, 60.0}, "Time between signs of life");
}

}  // namespace troupe::comm
