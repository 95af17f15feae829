#include "dashboard/assets.h"

#include <algorithm>
#include <array>

#include "base/index.h"

// The assembler reads the files, so that no generated source is compiled. TROUPE_PAGE and
// TROUPE_DYGRAPHS are folders, set by CMake.
#define TROUPE_EMBED(symbol, file)               \
  __asm__(                                       \
      ".section .rodata\n"                       \
      ".global troupe_asset_" #symbol            \
      "\n"                                       \
      ".global troupe_asset_" #symbol            \
      "_end\n"                                   \
      "troupe_asset_" #symbol                    \
      ":\n"                                      \
      ".incbin \"" file                          \
      "\"\n"                                     \
      "troupe_asset_" #symbol                    \
      "_end:\n"                                  \
      ".byte 0\n"                                \
      ".previous\n");                            \
  extern "C" const char troupe_asset_##symbol[]; \
  extern "C" const char troupe_asset_##symbol##_end[];

TROUPE_EMBED(page_html, TROUPE_PAGE "/index.html")
TROUPE_EMBED(page_css, TROUPE_PAGE "/page.css")
TROUPE_EMBED(alerts_js, TROUPE_PAGE "/alerts.js")
TROUPE_EMBED(curves_js, TROUPE_PAGE "/curves.js")
TROUPE_EMBED(heat_map_js, TROUPE_PAGE "/heat_map.js")
TROUPE_EMBED(page_js, TROUPE_PAGE "/page.js")
TROUPE_EMBED(run_data_js, TROUPE_PAGE "/run_data.js")
TROUPE_EMBED(shares_js, TROUPE_PAGE "/shares.js")
TROUPE_EMBED(tables_js, TROUPE_PAGE "/tables.js")
TROUPE_EMBED(dygraph_js, TROUPE_DYGRAPHS "/dygraph.min.js")
TROUPE_EMBED(dygraph_css, TROUPE_DYGRAPHS "/dygraph.min.css")

namespace troupe::dashboard {
namespace {

std::string_view between(const char* begin, const char* end) { return {begin, at(end - begin)}; }

constexpr std::string_view kHtml = "text/html; charset=utf-8";
constexpr std::string_view kCss = "text/css; charset=utf-8";
constexpr std::string_view kJavaScript = "text/javascript; charset=utf-8";

const std::array<Asset, 11>& assets() {
  static const std::array<Asset, 11> all{{
      {"/", kHtml, between(troupe_asset_page_html, troupe_asset_page_html_end)},
      {"/page.css", kCss, between(troupe_asset_page_css, troupe_asset_page_css_end)},
      {"/alerts.js", kJavaScript, between(troupe_asset_alerts_js, troupe_asset_alerts_js_end)},
      {"/curves.js", kJavaScript, between(troupe_asset_curves_js, troupe_asset_curves_js_end)},
      {"/heat_map.js", kJavaScript, between(troupe_asset_heat_map_js, troupe_asset_heat_map_js_end)},
      {"/page.js", kJavaScript, between(troupe_asset_page_js, troupe_asset_page_js_end)},
      {"/run_data.js", kJavaScript, between(troupe_asset_run_data_js, troupe_asset_run_data_js_end)},
      {"/shares.js", kJavaScript, between(troupe_asset_shares_js, troupe_asset_shares_js_end)},
      {"/tables.js", kJavaScript, between(troupe_asset_tables_js, troupe_asset_tables_js_end)},
      {"/dygraph.min.js", kJavaScript, between(troupe_asset_dygraph_js, troupe_asset_dygraph_js_end)},
      {"/dygraph.min.css", kCss, between(troupe_asset_dygraph_css, troupe_asset_dygraph_css_end)},
  }};
  return all;
}

}  // namespace

const Asset* find_asset(std::string_view path) {
  const auto found = std::ranges::find(assets(), path, &Asset::path);
  return found == assets().end() ? nullptr : &*found;
}

}  // namespace troupe::dashboard
