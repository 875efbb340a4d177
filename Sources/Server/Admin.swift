import CacheNode
import Primitives
import Reactor

// # The metrics port
//
//     /metrics   everything that is counted, for Prometheus
//     /health    200 as long as the event loop turns
//     /ready     200 when clients are served; 503 and a line that says why when they are not
//
// For a machine's own scraper and its load balancer: there is no password.

/// Writes what is at a path; nil: there is nothing.
func answerAdmin(
  _ path: String, _ node: Node, _ shell: ShellFigures, _ now: Instant, _ body: inout ByteBuffer
) -> HTTPServer.Answer? {
  var answer = HTTPServer.Answer()
  switch path {
  case "/metrics":
    answer.type = "text/plain; version=0.0.4; charset=utf-8"
    node.writeMetrics(into: &body, of: shell, now: now)
  case "/health":
    body.append("ok\n")
  case "/ready":
    guard let reason = node.unreadiness(now: now) else {
      body.append("ready\n")
      break
    }
    answer.status = 503
    body.append("not ready: \(reason)\n")
  default: return nil
  }
  return answer
}
