// Metrics in the Prometheus text format, by hand: two families do not need a library.

const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1];
const requests = new Map();
const durations = new Map();

/** Counts one request. */
export function observe(route, status, seconds) {
  const key = `route="${route}",code="${status}"`;
  requests.set(key, (requests.get(key) ?? 0) + 1);
  let histogram = durations.get(route);
  if (!histogram) durations.set(route, (histogram = { counts: BUCKETS.map(() => 0), sum: 0, count: 0 }));
  BUCKETS.forEach((bound, i) => (histogram.counts[i] += seconds <= bound ? 1 : 0));
  histogram.sum += seconds;
  histogram.count += 1;
}

/** The exposition. */
export function exposition() {
  const lines = ['# HELP http_requests_total Requests by route and status.', '# TYPE http_requests_total counter'];
  for (const [labels, value] of requests) lines.push(`http_requests_total{${labels}} ${value}`);
  lines.push('# HELP http_request_duration_seconds Time to answer.', '# TYPE http_request_duration_seconds histogram');
  for (const [route, h] of durations) {
    BUCKETS.forEach((bound, i) => lines.push(`http_request_duration_seconds_bucket{route="${route}",le="${bound}"} ${h.counts[i]}`));
    lines.push(`http_request_duration_seconds_bucket{route="${route}",le="+Inf"} ${h.count}`);
    lines.push(`http_request_duration_seconds_sum{route="${route}"} ${h.sum}`);
    lines.push(`http_request_duration_seconds_count{route="${route}"} ${h.count}`);
  }
  return lines.join('\n') + '\n';
}
