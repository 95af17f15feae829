"""The page in a real browser: what people see while a run goes on, and of runs that are over.

page_test.py PAGE_STAND_IN
"""
import pathlib
import re
import sys
import unittest

import browser as chromium
from served_page import ServedPage, evaluation_line, step_line

SKIPPED = 77
STAND_IN = None


LEGEND = "[...document.querySelectorAll('[data-curve={}] .legend li')].map((item) => item.textContent)"


class PageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.browser = chromium.Browser(chromium.find())

    @classmethod
    def tearDownClass(cls):
        cls.browser.close()

    def show(self, *names, lines=(), **size):
        """The page of runs; `lines` are there before it is opened."""
        page = ServedPage(STAND_IN, *(names or ("run-1",)))
        self.addCleanup(page.close)
        if lines:
            page.write(*lines)
        self.browser.complaints.clear()
        self.browser.open(page.url, **size)
        self.browser.wait_for("document.querySelector('#run-state').textContent === 'training'")
        return page

    def tearDown(self):
        # A policy that blocks what the page itself does shows up here, as do errors.
        complaints = list(self.browser.complaints)
        self.browser.open("about:blank")  # before the server of this page ends
        self.assertEqual(complaints, [])

    def see(self, expression, expected, *message):
        """That a JavaScript expression comes to have a value: drawing follows what is said by a frame or two."""
        self.browser.wait_while(expression, lambda value: value != expected)
        self.assertEqual(self.browser.value(expression), expected, *message)

    def table(self, name):
        return self.browser.value(f"[...document.querySelectorAll('#{name} tbody tr')].map((row) =>"
                                  "[...row.children].map((cell) => cell.textContent))")

    def legend(self, curve):
        return self.browser.value(LEGEND.format(curve))

    def wait_for_step(self, step):
        self.browser.wait_for(f"document.querySelector('#head-step').textContent.startsWith('{step} /')")

    # ---- curves ----

    def test_values_under_the_pointer_stay_while_steps_arrive(self):
        page = self.show(lines=[step_line(step, loss=10 - step) for step in range(1, 6)])
        self.browser.wait_for("document.querySelector('[data-curve=loss] canvas')")
        self.browser.point_at("[data-curve=loss] .chart", 0.95)
        self.browser.wait_for("document.querySelector('[data-curve=loss] .legend').textContent.includes('step 5')")
        page.write(step_line(6, loss=0.5))
        self.wait_for_step(6)
        self.browser.wait_for("curves.panels.get('loss').rows.length === 6")
        self.assertEqual(self.legend("loss")[:2], ["step 5", "loss5"])
        self.assertEqual(self.legend("rate")[:2], ["step 5", "learning_rate0.001"], "one cursor for all charts")
        self.assertTrue(self.browser.value("curves.panels.get('loss').graph.getSelection() === 4"), "and its mark")

    def test_charts_fill_their_boxes_also_when_others_appear_later(self):
        page = self.show(lines=[step_line(1)], width=1280)
        page.write(step_line(2, grad_norm=1.0, mfu=0.5))
        self.browser.wait_for("document.querySelectorAll('[data-curve]:not([hidden]) canvas').length >= 14")
        self.browser.wait_for("[...document.querySelectorAll('[data-curve]:not([hidden]) .chart')].every((chart) =>"
                              "Math.abs(chart.querySelector('canvas').clientWidth - chart.clientWidth) <= 1)")

    def test_a_reset_zoom_shows_steps_that_come_later(self):
        page = self.show(lines=[step_line(step) for step in range(1, 6)])
        self.browser.wait_for("document.querySelector('[data-curve=rate] canvas')")
        self.browser.value("curves.zoom([2, 3])")
        self.see(("curves.panels.get('rate').graph.xAxisRange()"), [2, 3])
        self.browser.value("curves.panels.get('loss').graph.resetZoom()")
        page.write(*(step_line(step) for step in range(6, 50)))
        self.browser.wait_for("curves.panels.get('rate').graph.xAxisRange()[1] >= 49")

    def test_legends_have_the_colours_of_their_curves(self):
        self.show(lines=[evaluation_line(0, 9.0), step_line(1)])
        self.browser.wait_for("document.querySelector('[data-curve=loss] canvas')")
        seen = self.browser.value("[...document.querySelectorAll('[data-curve=loss] .swatch')]"
                                  ".map((item) => getComputedStyle(item).backgroundColor)")
        self.assertEqual(seen, ["rgb(0, 114, 178)", "rgb(213, 94, 0)"])
        drawn = self.browser.value("curves.panels.get('loss').graph.getColors()")
        self.assertEqual(drawn, ["#0072b2", "#d55e00"])

    def test_evaluations_are_drawn_at_step_0_and_where_the_curve_was_thinned(self):
        lines = [evaluation_line(0, 9.0)]
        for step in range(1, 4200):  # more than the server keeps: every second one goes
            lines.append(step_line(step))
            if step % 1001 == 0:
                lines.append(evaluation_line(step, 9.0 - step / 1000))
        page = self.show(lines=lines)
        self.browser.wait_for("document.querySelector('[data-curve=loss] canvas')")
        drawn = self.browser.value(
            "(() => { const {graph} = curves.panels.get('loss'); const all = [];"
            "for (let row = 0; row < graph.numRows(); ++row) { const value = graph.getValue(row, 2);"
            "if (value !== null) all.push(graph.getValue(row, 0)); } return all; })()")
        self.assertEqual(drawn, [0, 1001, 2002, 3003, 4004])
        self.browser.point_at("[data-curve=loss] .chart", 0.07)
        self.browser.wait_for("document.querySelector('[data-curve=loss] .legend').textContent.includes('eval_loss9')")
        page.write(step_line(4200), evaluation_line(4200, 1.25))
        self.browser.wait_for("[...curves.runs[0].evaluations.keys()].length === 6")
        self.browser.wait_for("curves.panels.get('loss').rows.at(-1)[2] === 1.25")

    def test_smoothing_leaves_evaluations_alone(self):
        self.show(lines=[evaluation_line(0, 9.0), step_line(1, loss=8.0), step_line(2, loss=4.0), evaluation_line(2, 5.0)])
        self.browser.wait_for("document.querySelector('[data-curve=loss] canvas')")
        self.browser.value("curves.smooth(2)")
        self.browser.wait_for("curves.panels.get('loss').rows[2][1] === 6")
        self.see(("curves.panels.get('loss').rows"), [[0, None, 9], [1, 8, None], [2, 6, 5]])

    def test_there_are_no_empty_charts_and_panels(self):
        page = self.show()
        visible = "[...document.querySelectorAll('main section:not([hidden])')].length"
        self.see((visible), 0)
        self.assertFalse(self.browser.value("document.querySelector('#no-data').hidden"))
        page.write(step_line(1))
        self.wait_for_step(1)
        self.browser.wait_for("document.querySelector('[data-curve=loss]').hidden === false")
        shown = self.browser.value("[...document.querySelectorAll('[data-curve]:not([hidden])')].map((s) => s.dataset.curve)")
        self.assertEqual(shown, ["loss", "violation", "rate", "speed", "entropy"])
        self.assertTrue(self.browser.value("document.querySelector('#no-data').hidden"))

    def test_preferences_have_curves_of_their_own(self):
        lines = [evaluation_line(0, 0.693, eval_preference_accuracy=0.0)]
        lines += [step_line(step, preference_margin=0.5 * step, preference_accuracy=0.25 * step) for step in (1, 2, 3)]
        self.show(lines=[*lines, evaluation_line(3, 0.5, eval_preference_accuracy=0.875)])
        self.browser.wait_for("document.querySelector('[data-curve=preferred] canvas')")
        self.see("curves.panels.get('margin').rows", [[1, 0.5], [2, 1], [3, 1.5]])
        self.see("curves.panels.get('preferred').rows", [[0, None, 0], [1, 0.25, None], [2, 0.5, None], [3, 0.75, 0.875]])
        self.assertEqual(self.legend("preferred")[1:], ["preference_accuracy0.75", "eval_preference_accuracy0.875"])

    def test_arrow_keys_move_the_cursor(self):
        self.show(lines=[step_line(step, loss=10.0 - step) for step in range(1, 6)])
        self.browser.wait_for("document.querySelector('[data-curve=loss] canvas')")
        self.browser.value("document.querySelector('[data-curve=loss] .chart').focus()")
        self.browser.press("ArrowLeft")
        self.browser.press("ArrowLeft")
        self.assertEqual(self.legend("loss")[:2], ["step 4", "loss6"])

    # ---- expert utilization ----

    def test_colours_tell_twice_from_eight_times_the_mean(self):
        self.show(lines=[step_line(1, counts=(16, 8, 0, 8))])
        self.browser.wait_for("document.querySelector('#load-panel').hidden === false")
        colors = self.browser.value("[0.125, 0.25, 0.5, 1, 2, 4, 8, 16].map(HeatMap.color)")
        self.assertEqual(len(set(colors)), 8)
        scale = self.browser.value("[...document.querySelectorAll('#load-panel .scale .swatch')]"
                                   ".map((item) => getComputedStyle(item).backgroundColor.replaceAll(' ', ''))")
        self.assertEqual(scale, colors, "the legend is what is drawn")

    # ---- alerts ----

    def alerts(self):
        return self.browser.value("document.querySelector('#alerts').hidden ? '' : document.querySelector('#alerts').textContent")

    def test_an_uneven_layer_raises_an_alert(self):
        page = self.show(lines=[step_line(100, violation=0.4)])
        self.wait_for_step(100)
        self.assertEqual(self.alerts(), "")
        page.write(step_line(101, violation=5.0))
        self.wait_for_step(101)
        self.assertIn("6.0 × the mean load (MaxVio 5.0)", self.alerts())
        page.write(step_line(102, violation=0.4))
        self.wait_for_step(102)
        self.assertEqual(self.alerts(), "")

    def test_a_failed_checkpoint_and_a_silent_worker_raise_alerts(self):
        page = self.show(lines=[step_line(1)])
        page.say(checkpoint={"step": 1, "error": "disk full"})
        page.say(workers=[{"rank": 0, "host": "a"}, {"rank": 1, "host": "b", "suspected": True}])
        self.browser.wait_for("document.querySelector('#alerts').children.length === 2")
        self.assertIn("Worker 1 on b is silent.", self.alerts())
        self.assertIn("The checkpoint of step 1 failed: disk full", self.alerts())

    def test_an_evaluation_shows_how_far_experts_keep_to_domains(self):
        page = self.show(lines=[step_line(1), evaluation_line(1, 3.5)])
        panel = "document.querySelector('#specialization-panel')"
        self.browser.wait_for(f"{panel} && document.querySelector('#domains tbody').children.length === 2")
        self.see(f"{panel}.hidden", True, "a model without experts has no such table")
        layer = {"max_violation_global": 0.5, "mutual_information_bits": 0.25, "mutual_information_limit_bits": 1.5,
                 "domain_distance": 0.125}
        page.write(step_line(2), evaluation_line(2, 3.0, [{"layer": 1, **layer}, {"layer": 4, "max_violation_global": 2.0}]))
        self.browser.wait_for(f"!{panel}.hidden")
        self.assertEqual(self.table("specialization"),
                         [["1", "0.500", "0.250", "1.500", "0.125"], ["4", "2.000", "–", "–", "–"]])
        self.assertEqual(self.table("domains"), [["all", "3.000", "1.500"], ["c", "3.000", "1.500"]])

    def test_changes_are_announced_to_those_who_hear_the_page(self):
        page = self.show(lines=[step_line(1), evaluation_line(1, 3.5)])
        for element in ("#run-state", "#progress-text", "#heat-note"):
            self.see((f"document.querySelector('{element}').ariaLive"), "polite", element)
        self.see(("document.querySelector('#alerts').getAttribute('role')"), "alert")
        page.write(step_line(2), evaluation_line(2, 3.25))
        self.browser.wait_for("document.querySelector('#progress-text').textContent.includes('3.25')")

    # ---- workers ----

    PHASES = {"forward": 0.2, "dispatch": 0.1, "backward": 0.4, "other": 0.1}

    def test_every_phase_of_a_step_has_a_colour_of_its_own(self):
        source = (pathlib.Path(__file__).parents[2] / "tensor/profile.h").read_text()
        names = re.findall(r'"(\w+)"', re.search(r"kPhaseNames\{(.*?)\}", source, re.DOTALL).group(1))
        self.assertIn("forward_again", names)
        page = self.show(lines=[step_line(1)])
        page.say(workers=[{"rank": 0, "host": "a"}], phases={"0": dict.fromkeys(names, 0.1)})
        self.browser.wait_for(f"document.querySelectorAll('#phase-legend li').length === {len(names)}")
        colours = self.browser.value("[...document.querySelectorAll('.phases span')].map((part) =>"
                                     "getComputedStyle(part).backgroundColor)")
        self.assertEqual(len(set(colours)), len(names), colours)

    def test_every_phase_is_in_the_legend_with_its_colour(self):
        page = self.show(lines=[step_line(1)])
        page.say(workers=[{"rank": 0, "host": "a"}], phases={"0": self.PHASES})
        self.browser.wait_for("document.querySelectorAll('#phase-legend li').length === 4")
        legend = self.browser.value("Object.fromEntries([...document.querySelectorAll('#phase-legend li')].map((item) =>"
                                    "[item.textContent, getComputedStyle(item.firstChild).backgroundColor]))")
        bar = self.browser.value("Object.fromEntries([...document.querySelectorAll('.phases span')].map((part) =>"
                                 "[part.title.split(':')[0], getComputedStyle(part).backgroundColor]))")
        self.assertEqual(legend, bar)
        self.assertEqual(list(bar), ["forward", "dispatch", "backward", "other"], "in the order of a step")
        self.assertEqual(len(set(bar.values())), 4)

    def test_everything_fits_a_phone(self):
        page = self.show(lines=[step_line(1, violation=5.0), evaluation_line(1, 3.5)], width=360, height=740)
        hosts = ["a-node-with-quite-a-long-name.cluster.example.org"] * 2
        page.say(workers=[{"rank": rank, "host": host} for rank, host in enumerate(hosts)], phases={"0": self.PHASES})
        page.say(checkpoint={"step": 1, "error": "/a/path/without/any/place/to/break/it/that/is/rather/long: disk full"})
        page.say(note="x" * 200)
        self.browser.wait_for("document.querySelectorAll('#workers tbody tr').length === 2")
        self.browser.wait_for("document.querySelectorAll('#notes li').length === 1")
        wide = ("[...document.querySelectorAll('body *')].filter((one) =>"
                                  "one.getBoundingClientRect().right > 361).map((one) => one.outerHTML.slice(0, 80))")
        self.see(wide, [])
        self.see(("document.scrollingElement.scrollWidth"), 360)

    # ---- several runs ----

    def test_several_runs_are_overlaid(self):
        page = self.show("first", "second")
        page.write(*(step_line(step, loss=3.0) for step in range(1, 4)))
        page.write(*(step_line(step, loss=2.0, counts=(32, 0, 0, 0)) for step in (2, 3, 4)), evaluation_line(4, 2.5), run=1)
        self.browser.wait_for("curves.panels.get('loss').rows.length === 4 && curves.panels.get('loss').rows[3][4] === 2.5")
        self.see(("curves.panels.get('loss').rows"),
                         [[1, 3, None, None, None], [2, 3, None, 2, None], [3, 3, None, 2, None], [4, None, None, 2, 2.5]])
        self.assertEqual(self.legend("loss")[1:], ["loss, first3", "eval_loss, first–", "loss, second2", "eval_loss, second2.5"])
        self.see(("document.querySelector('#run-name').textContent"), "first")
        self.browser.value("(() => { const choice = document.querySelector('#run'); choice.value = '1';"
                           "choice.dispatchEvent(new Event('change')); })()")
        self.browser.wait_for("document.querySelector('#run-name').textContent === 'second'")
        self.wait_for_step(4)
        self.browser.wait_for("heatMap.load[0][0] === 4")


if __name__ == "__main__":
    if chromium.find() is None:
        print(f"SKIPPED: no browser here ({', '.join(chromium.NAMES)}); apt-get install chromium-headless-shell")
        sys.exit(SKIPPED)
    STAND_IN = sys.argv.pop(1)
    unittest.main(verbosity=2)
