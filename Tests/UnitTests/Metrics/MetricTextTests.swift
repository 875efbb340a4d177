import Metrics
import Primitives
import Testing

@Suite("The text of metrics")
struct MetricTextTests {
  private func text(_ write: (inout MetricText) -> Void) -> String {
    var metrics = MetricText()
    write(&metrics)
    return metrics.text.readable.text
  }

  @Test("a family has its help, its type and its samples")
  func family() {
    let text = text {
      $0.counter("coterie_things_total", "Things.", 7)
      $0.begin("coterie_rooms", .gauge, "Rooms by floor.")
      $0.sample(.integer(-2), MetricLabel("floor", "1"))
      $0.sample(.integer(3), MetricLabel("floor", "2"), MetricLabel("side", "left"))
      $0.sample(.integer(4), [MetricLabel("a", "b"), MetricLabel("c", "d"), MetricLabel("e", "f")])
    }
    #expect(
      text == """
        # HELP coterie_things_total Things.
        # TYPE coterie_things_total counter
        coterie_things_total 7
        # HELP coterie_rooms Rooms by floor.
        # TYPE coterie_rooms gauge
        coterie_rooms{floor="1"} -2
        coterie_rooms{floor="2",side="left"} 3
        coterie_rooms{a="b",c="d",e="f"} 4

        """)
  }

  @Test(
    "microseconds are written as seconds",
    arguments: [
      (UInt64(0), "0"), (1, "0.000001"), (100, "0.0001"), (250_000, "0.25"), (1_000_000, "1"),
      (61_000_010, "61.00001"), (1_800_000_000_123_456, "1800000000.123456"),
    ])
  func seconds(microseconds: UInt64, expected: String) {
    let text = text {
      $0.begin("a_seconds", .gauge, "A.")
      $0.sample(.microseconds(microseconds))
    }
    #expect(text.hasSuffix("\na_seconds \(expected)\n"))
  }

  @Test("a label's value may hold anything")
  func escapes() {
    let text = text {
      $0.begin("a", .gauge, "A.")
      $0.sample(.integer(1), MetricLabel("name", "q\"b\\n\nü"))
    }
    #expect(text.hasSuffix("\na{name=\"q\\\"b\\\\n\\nü\"} 1\n"))
  }

  @Test("a histogram's buckets are cumulative, the last one is everything")
  func histogram() {
    var histogram = LatencyHistogram()
    for microseconds in [10, 50, 200, 900, 2_000_000] as [UInt64] {
      histogram.record(microseconds * 1000)
    }
    let text = text {
      $0.begin("a_seconds", .histogram, "A.")
      $0.sample(histogram, MetricLabel("x", "y"))
      $0.sample(histogram)
    }
    let lines = text.split(separator: "\n").filter { $0.contains("x=") }
    #expect(lines.first == "a_seconds_bucket{x=\"y\",le=\"0.0001\"} 2")
    #expect(lines[1] == "a_seconds_bucket{x=\"y\",le=\"0.00025\"} 3")
    #expect(lines[3] == "a_seconds_bucket{x=\"y\",le=\"0.001\"} 4")
    #expect(lines[12] == "a_seconds_bucket{x=\"y\",le=\"1\"} 4")
    #expect(lines[13] == "a_seconds_bucket{x=\"y\",le=\"+Inf\"} 5")
    #expect(lines[14] == "a_seconds_sum{x=\"y\"} 2.00116")
    #expect(lines[15] == "a_seconds_count{x=\"y\"} 5")
    #expect(lines.count == 16)
    #expect(text.contains("\na_seconds_bucket{le=\"+Inf\"} 5\n"))
  }
}
