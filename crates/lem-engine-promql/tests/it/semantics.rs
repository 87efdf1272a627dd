//! Semantics by area, in the test language.

use lem_engine_promql::promqltest::run_text;

/// Every case of the text holds.
fn check(text: &str) {
    let report = run_text(text);
    let failures: Vec<String> = report.failures.iter().map(|f| format!("line {}: {}", f.line, f.message)).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(report.passed > 0);
}

#[test]
fn rates_extrapolate_and_counters_reset() {
    check(
        r#"
load 5m
  http_requests_total{path="/foo"} 0+10x10
  http_requests_total{path="/bar"} 0+18x5 0+18x5
  gauge 0 50 100 50

eval instant at 50m rate(http_requests_total[50m])
  {path="/foo"} .03333333333333333333
  {path="/bar"} .05333333333333333

eval instant at 50m increase(http_requests_total{path="/foo"}[50m])
  {path="/foo"} 100

eval instant at 50m irate(http_requests_total{path="/foo"}[50m])
  {path="/foo"} .03333333333333333333

eval instant at 15m delta(gauge[15m])
  expect no_warn
  expect no_info
  {} 0

eval instant at 15m rate(gauge[15m])
  expect info msg: PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "gauge" (1:6)
  {} 0.16666666666666666

eval instant at 50m resets(http_requests_total[50m])
  {path="/foo"} 0
  {path="/bar"} 1

eval instant at 50m deriv(http_requests_total{path="/foo"}[50m])
  {path="/foo"} 0.03333333333333333

eval instant at 50m predict_linear(http_requests_total{path="/foo"}[50m], 3600)
  {path="/foo"} 220
"#,
    );
}

#[test]
fn vectors_match_by_labels() {
    check(
        r#"
load 5m
  errors{job="a", code="500"} 4
  errors{job="a", code="404"} 6
  errors{job="b", code="500"} 10
  requests{job="a", team="x"} 100
  requests{job="b", team="y"} 200

eval instant at 0 errors / on (job) group_left (team) requests
  {job="a", code="500", team="x"} 0.04
  {job="a", code="404", team="x"} 0.06
  {job="b", code="500", team="y"} 0.05

eval instant at 0 requests * on (job) group_right (team) errors
  {job="a", code="500", team="x"} 400
  {job="a", code="404", team="x"} 600
  {job="b", code="500", team="y"} 2000

eval instant at 0 errors / on (job) requests
  expect fail msg: multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)

eval instant at 0 requests / on (job) errors
  expect fail regex: found duplicate series for the match group \{job="a"\} on the right hand-side of the operation.*

eval instant at 0 errors > 5
  errors{job="a", code="404"} 6
  errors{job="b", code="500"} 10

eval instant at 0 errors > bool 5
  {job="a", code="500"} 0
  {job="a", code="404"} 1
  {job="b", code="500"} 1

eval instant at 0 errors{code="500"} and on (job) requests{team="x"}
  errors{job="a", code="500"} 4

eval instant at 0 errors{code="500"} unless on (job) requests{team="x"}
  errors{job="b", code="500"} 10

eval instant at 0 errors{job="a"} or on (job) requests
  errors{job="a", code="500"} 4
  errors{job="a", code="404"} 6
  requests{job="b", team="y"} 200

eval instant at 0 2 ^ 3 ^ 2
  512

eval instant at 0 -2 ^ 2
  -4

eval instant at 0 10 % 4 % 3
  2
"#,
    );
}

#[test]
fn missing_sides_are_filled() {
    check(
        r#"
load 5m
  a{x="1"} 1
  a{x="2"} 2
  b{x="2"} 20
  b{x="3"} 30

eval instant at 0 a + fill(0) b
  {x="1"} 1
  {x="2"} 22
  {x="3"} 30

eval instant at 0 a + fill_left(5) b
  {x="2"} 22
  {x="3"} 35

eval instant at 0 a + fill_right(7) b
  {x="1"} 8
  {x="2"} 22
"#,
    );
}

#[test]
fn names_go_away_at_the_end() {
    check(
        r#"
load 5m
  metric_total{env="1"} 0 60 120
  other_total{env="1"} 0 60 120

eval instant at 10m rate({env="1"}[10m])
  expect fail msg: vector cannot contain metrics with the same labelset

eval instant at 10m label_replace(rate({env="1"}[10m]), "__name__", "rate_$1", "__name__", "(.+)")
  rate_metric_total{env="1"} 0.2
  rate_other_total{env="1"} 0.2

eval instant at 10m sum by (__name__, env) (metric_total{env="1"})
  metric_total{env="1"} 120

eval instant at 10m sum by (__name__) (rate({env="1"}[10m]))
  expect fail

eval instant at 10m sum by (env) (rate({env="1"}[10m]))
  {env="1"} 0.4

eval instant at 10m last_over_time(metric_total[10m])
  metric_total{env="1"} 120
"#,
    );
}

#[test]
fn subqueries_are_aligned() {
    check(
        r"
load 10s
  metric 1 2 3 4 5 6

eval instant at 50s sum_over_time(metric[30s:10s])
  {} 15

eval instant at 57s sum_over_time(metric[30s:10s])
  {} 15

eval instant at 50s sum_over_time(metric[30s:10s] offset 10s)
  {} 12

eval instant at 50s count_over_time(metric[1m:1m])
  {} 1
",
    );
}

#[test]
fn anchored_and_smoothed_windows() {
    check(
        r"
load 15s
  metric 1+1x4 9+1x4

eval instant at 45s increase(metric[1m])
  {} 4

eval instant at 1m increase(metric[1m] anchored)
  {} 4

eval instant at 70s rate(metric[1m] smoothed)
  {} 0.1

eval instant at 1m deriv(metric[1m] anchored)
  expect fail msg: anchored modifier can only be used with: changes, delta, increase, rate, resets - not with deriv
",
    );
}

#[test]
fn native_histograms_compute() {
    check(
        r#"
load 5m
  h {{schema:0 sum:5 count:4 buckets:[1 2 1]}}+{{schema:0 sum:5 count:4 buckets:[1 2 1]}}x4
  c {{schema:-53 sum:5 count:4 custom_values:[5 10] buckets:[1 2 1]}}x4
  d {{schema:-53 sum:5 count:4 custom_values:[5] buckets:[1 3]}}x4
  f 1x4

eval instant at 0 histogram_count(h)
  {} 4

eval instant at 0 histogram_quantile(0.5, h)
  {} 1.4142135623730951

eval instant at 20m histogram_count(increase(h[10m]))
  {} 8

eval instant at 0 h * 2
  {} {{schema:0 sum:10 count:8 buckets:[2 4 2]}}

eval instant at 0 h + f
  expect info msg: PromQL info: incompatible sample types encountered for binary operator "+": histogram + float (1:1)

eval instant at 0 c + d
  expect info msg: PromQL info: mismatched custom buckets were reconciled during addition (1:1)
  {} {{schema:-53 sum:10 count:8 custom_values:[5] buckets:[2 6]}}

eval instant at 0 h + c
  expect warn

eval instant at 0 h </ 2
  h {{schema:0 sum:3.5355339059327378 count:3 buckets:[1 2]}}

eval instant at 0 sum({__name__=~'h|f'})
  expect warn msg: PromQL warning: encountered a mix of histograms and floats for aggregation (1:5)

eval instant at 5m delta(h[10m])
  expect warn
  {} {{schema:0 sum:10 count:8 counter_reset_hint:gauge buckets:[2 4 2]}}
"#,
    );
}

#[test]
fn info_adds_labels() {
    check(
        r#"
load 5m
  metric{instance="a", job="1", label="value"} 0 1 2
  target_info{instance="a", job="1", data="info"} 1 1 1

eval range from 0 to 10m step 5m info(metric)
  metric{data="info", instance="a", job="1", label="value"} 0 1 2

eval range from 0 to 10m step 5m info(metric, {data=~".+"})
  metric{data="info", instance="a", job="1", label="value"} 0 1 2

eval range from 0 to 10m step 5m info(metric, {non_existent=~".+"})

eval range from 0 to 10m step 5m info(metric, {non_existent=~".*"})
  metric{instance="a", job="1", label="value"} 0 1 2
"#,
    );
}

#[test]
fn functions_of_labels_times_and_gaps() {
    check(
        r#"
load 5m
  m{src="a-1", n="2"} 10
  m{src="a-2", n="10"} 20

eval instant at 0 label_replace(m, "dst", "$1", "src", "a-(.*)")
  m{src="a-1", n="2", dst="1"} 10
  m{src="a-2", n="10", dst="2"} 20

eval instant at 0 label_join(m, "dst", "-", "src", "n")
  m{src="a-1", n="2", dst="a-1-2"} 10
  m{src="a-2", n="10", dst="a-2-10"} 20

eval instant at 0 sort_by_label_desc(m, "n")
  expect ordered
  m{src="a-2", n="10"} 20
  m{src="a-1", n="2"} 10

eval instant at 0 absent(nothing{job="x", instance=~"y"})
  {job="x"} 1

eval instant at 0 absent_over_time(nothing{job="x"}[5m])
  {job="x"} 1

eval instant at 0 clamp(m, 12, 15)
  {src="a-1", n="2"} 12
  {src="a-2", n="10"} 15

eval instant at 0 day_of_week(vector(1136239445))
  {} 1

eval instant at 0 days_in_month(vector(1454284800))
  {} 29

eval instant at 0 scalar(m)
  NaN
"#,
    );
}

#[test]
fn native_histograms_of_all_shapes() {
    check(
        r#"
load 5m
  neg {{schema:0 sum:-5 count:4 n_buckets:[1 2 1]}}x2
  zero {{schema:0 sum:1 count:6 z_bucket:2 z_bucket_w:0.5 buckets:[2 2]}}x2
  off {{schema:1 sum:8 count:4 offset:2 buckets:[2 2]}}x2
  gauge {{schema:0 sum:5 count:4 buckets:[1 2 1] counter_reset_hint:gauge}}x2
  falls {{schema:0 sum:5 count:4 buckets:[1 2 1]}} {{schema:0 sum:2 count:2 buckets:[1 1]}} {{schema:0 sum:4 count:4 buckets:[2 2]}}
  mixed_total 1 {{schema:0 sum:5 count:4 buckets:[1 2 1]}} 3

eval instant at 0 histogram_quantile(0.5, neg)
  {} -1.414213562373095

eval instant at 0 histogram_quantile(0.1, zero)
  {} 0.15

eval instant at 0 histogram_fraction(-Inf, 1, zero)
  {} 0.6666666666666666

eval instant at 0 histogram_avg(off)
  {} 2

eval instant at 10m resets(falls[15m])
  {} 1

eval instant at 10m histogram_count(increase(falls[15m]))
  expect no_warn
  {} 6

eval instant at 10m rate(gauge[15m])
  expect warn msg: PromQL warning: this native histogram metric is not a counter: "gauge" (1:6)
  {} {{schema:0 counter_reset_hint:gauge}}

eval instant at 10m rate(mixed_total[15m])
  expect warn msg: PromQL warning: encountered a mix of histograms and floats for metric name "mixed_total" (1:6)

eval instant at 0 off / 0
  {} {{schema:1 count:Inf sum:Inf z_bucket:NaN}}

eval instant at 0 -zero
  {} {{schema:0 sum:-1 count:-6 z_bucket:-2 z_bucket_w:0.5 buckets:[-2 -2]}}

eval instant at 0 zero >/ 1
  zero {{schema:0 sum:2.8284271247461903 count:2 z_bucket_w:0.5 offset:1 buckets:[2]}}

eval instant at 0 zero == zero
  zero {{schema:0 sum:1 count:6 z_bucket:2 z_bucket_w:0.5 buckets:[2 2]}}

eval instant at 0 zero + off
  {} {{schema:0 sum:9 count:10 z_bucket:2 z_bucket_w:0.5 buckets:[2 4 2]}}
"#,
    );
}
