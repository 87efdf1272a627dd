//! `canary:` and `blueGreen:`.

use super::rollout::{SCALE_DOWN_DELAY_MS, slack};
use super::{STEPS_MAX, Templates, count, seconds_ms, steps};
use crate::model::{Background, Method, Step, Strategy, WEIGHT_TOTAL};
use lem_engine_yaml::{Fields, Node, Reader};

/// Routers Argo Rollouts knows; here the embedded one takes their place.
const ROUTERS: [&str; 9] = ["alb", "ambassador", "apisix", "appMesh", "istio", "nginx", "plugins", "smi", "traefik"];

/// What of the traffic routing the steps need.
#[derive(Debug, Default)]
pub(super) struct Routing {
    /// `trafficRouting` is there.
    pub(super) given: bool,
    /// Names under `managedRoutes`.
    pub(super) managed: Vec<String>,
}

pub(super) fn canary(reader: &Reader, node: &Node, templates: &Templates, strategy: &mut Strategy) {
    strategy.method = Method::Canary;
    if node.is_null() {
        return;
    }
    let Some(mut fields) = reader.fields(node, "canary") else { return };
    let routing = traffic_routing(reader, &mut fields);
    services(reader, &mut fields);
    slack(reader, &mut fields, node, strategy);
    delays(reader, &mut fields, &routing, strategy);
    for key in ["antiAffinity", "canaryMetadata", "stableMetadata", "minPodsPerReplicaSet"] {
        fields.take(key);
    }
    if let Some(list) = fields.take("steps").and_then(|n| reader.items(n, "steps")) {
        if list.len() > STEPS_MAX {
            reader.error(&list[STEPS_MAX], "too-many", format!("at most {STEPS_MAX} steps are possible"));
        }
        strategy.steps = list.iter().filter_map(|n| steps::step(reader, n, &routing, templates)).collect();
    }
    strategy.background = fields.take("analysis").and_then(|n| background(reader, n, templates, strategy.steps.len()));
    fields.finish();
}

fn background(reader: &Reader, node: &Node, templates: &Templates, steps: usize) -> Option<Background> {
    let mut fields = reader.fields(node, "analysis")?;
    let at = fields.take("startingStep");
    let starting_step = at.and_then(|n| count(reader, n, "startingStep")).unwrap_or(0) as usize;
    if let Some(at) = at
        && starting_step >= steps
    {
        let message = format!("startingStep must be an index of the {steps} steps, from 0");
        reader.error(at, "out-of-range", message);
    }
    let analysis = templates.analysis(reader, node, &mut fields);
    fields.finish();
    Some(Background { starting_step, analysis: analysis? })
}

fn traffic_routing(reader: &Reader, fields: &mut Fields<'_>) -> Routing {
    let mut routing = Routing::default();
    let Some(node) = fields.take("trafficRouting") else { return routing };
    routing.given = true;
    let Some(mut f) = reader.fields(node, "trafficRouting") else { return routing };
    for name in ROUTERS {
        if let Some(n) = f.take(name) {
            let message = format!("trafficRouting.{name} is not used: the embedded router splits the traffic");
            reader.warning(n, "unused-key", message);
        }
    }
    if let Some(n) = f.take("maxTrafficWeight")
        && let Some(weight) = count(reader, n, "maxTrafficWeight")
        && weight != WEIGHT_TOTAL
    {
        reader.error(n, "unsupported-value", format!("maxTrafficWeight other than {WEIGHT_TOTAL} is not supported"));
    }
    if let Some(list) = f.take("managedRoutes").and_then(|n| reader.items(n, "managedRoutes")) {
        for node in list {
            let Some(mut f) = reader.fields(node, "a managed route") else { continue };
            routing.managed.extend(f.require("name").and_then(|n| reader.string(n, "name")));
            f.finish();
        }
    }
    f.finish();
    routing
}

fn services(reader: &Reader, fields: &mut Fields<'_>) {
    let stable = fields.take("stableService");
    let canary = fields.take("canaryService");
    differ(reader, stable, canary, "stableService", "canaryService");
    if let Some(mut f) = fields.take("pingPong").and_then(|n| reader.fields(n, "pingPong")) {
        let ping = f.require("pingService");
        let pong = f.require("pongService");
        differ(reader, ping, pong, "pingService", "pongService");
        f.finish();
    }
}

fn differ(reader: &Reader, a: Option<&Node>, b: Option<&Node>, a_name: &str, b_name: &str) {
    if let (Some(a), Some(b)) = (a, b)
        && a.text() == b.text()
    {
        reader.error(b, "same-service", format!("{b_name} must not be {a_name}"));
    }
}

fn delays(reader: &Reader, fields: &mut Fields<'_>, routing: &Routing, strategy: &mut Strategy) {
    let delay = fields.take("scaleDownDelaySeconds");
    let abort = fields.take("abortScaleDownDelaySeconds");
    let dynamic = fields.take("dynamicStableScale");
    for (name, node) in
        [("scaleDownDelaySeconds", delay), ("abortScaleDownDelaySeconds", abort), ("dynamicStableScale", dynamic)]
    {
        if let Some(node) = node.filter(|_| !routing.given) {
            let message = format!("{name} needs trafficRouting");
            reader.error_with_hint(node, "needs-routing", message, "add trafficRouting: {}");
        }
    }
    let dynamic_on = dynamic.and_then(|n| reader.boolean(n, "dynamicStableScale")) == Some(true);
    if dynamic_on && let Some(n) = dynamic {
        if delay.is_some() {
            reader.error(n, "conflict", "dynamicStableScale and scaleDownDelaySeconds exclude each other");
        } else {
            reader.error(n, "unsupported-key", "dynamicStableScale is not supported: the stable version stays whole");
        }
    }
    scale_down(reader, fields, delay, abort, strategy);
}

fn scale_down(
    reader: &Reader,
    fields: &mut Fields<'_>,
    delay: Option<&Node>,
    abort: Option<&Node>,
    strategy: &mut Strategy,
) {
    strategy.scale_down_delay_ms =
        delay.and_then(|n| seconds_ms(reader, n, "scaleDownDelaySeconds")).unwrap_or(SCALE_DOWN_DELAY_MS);
    let abort_ms =
        abort.and_then(|n| seconds_ms(reader, n, "abortScaleDownDelaySeconds")).unwrap_or(SCALE_DOWN_DELAY_MS);
    // 0 means: never scale an aborted version down.
    strategy.abort_scale_down_delay_ms = Some(abort_ms).filter(|ms| *ms > 0);
    if let Some(n) = fields.take("scaleDownDelayRevisionLimit")
        && let Some(limit) = count(reader, n, "scaleDownDelayRevisionLimit")
        && limit > strategy.history
    {
        let message = format!("scaleDownDelayRevisionLimit {limit} is above revisionHistoryLimit {}", strategy.history);
        reader.error(n, "out-of-range", message);
    }
}

pub(super) fn blue_green(reader: &Reader, node: &Node, templates: &Templates, strategy: &mut Strategy) {
    strategy.method = Method::BlueGreen;
    let Some(mut fields) = reader.fields(node, "blueGreen") else { return };
    let active = fields.take("activeService");
    let preview = fields.take("previewService");
    differ(reader, active, preview, "activeService", "previewService");
    for key in ["antiAffinity", "previewMetadata", "activeMetadata"] {
        fields.take(key);
    }
    if let Some(n) = fields.take("previewReplicaCount") {
        reader.error(n, "unsupported-key", "previewReplicaCount is not supported: the preview runs whole");
    }
    fields.take("maxUnavailable").and_then(|n| super::rollout::int_or_percent(reader, n, "maxUnavailable"));
    let (delay, abort) = (fields.take("scaleDownDelaySeconds"), fields.take("abortScaleDownDelaySeconds"));
    scale_down(reader, &mut fields, delay, abort, strategy);
    strategy.steps = blue_green_steps(reader, &mut fields, templates);
    fields.finish();
}

fn blue_green_steps(reader: &Reader, fields: &mut Fields<'_>, templates: &Templates) -> Vec<Step> {
    let enabled = fields.take("autoPromotionEnabled").and_then(|n| reader.boolean(n, "autoPromotionEnabled"));
    let auto_ms = fields.take("autoPromotionSeconds").and_then(|n| seconds_ms(reader, n, "autoPromotionSeconds"));
    let mut analysis = |key: &str| {
        let node = fields.take(key)?;
        let mut f = reader.fields(node, "analysis")?;
        let analysis = templates.analysis(reader, node, &mut f);
        f.finish();
        analysis.map(Step::Analysis)
    };
    let (before, after) = (analysis("prePromotionAnalysis"), analysis("postPromotionAnalysis"));
    let mut steps = vec![Step::Preview];
    steps.extend(before);
    match (enabled.unwrap_or(true), auto_ms.filter(|ms| *ms > 0)) {
        (_, Some(ms)) => steps.push(Step::Pause(Some(ms))),
        (false, None) => steps.push(Step::Pause(None)),
        (true, None) => {}
    }
    steps.push(Step::Switch);
    steps.extend(after);
    steps
}
