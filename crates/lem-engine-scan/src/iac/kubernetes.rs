//! Pods of Kubernetes workloads.

use super::eval::Subject;
use super::truth::Truth;
use super::view::{Found, View};
use lem_model::resource::Attribute;

/// The pod a workload makes; `Ok(None)` when none is written.
pub(crate) fn pod<'a>(subject: Subject<'a>) -> Result<Option<&'a Attribute>, String> {
    known(subject.view.at(pod_path(&subject.resource.kind)))
}

fn pod_path(kind: &str) -> &'static str {
    match kind.rsplit('/').next().unwrap_or(kind) {
        "Pod" => "spec",
        "CronJob" => "spec.jobTemplate.spec.template.spec",
        _ => "spec.template.spec",
    }
}

fn known(found: Found<'_>) -> Result<Option<&Attribute>, String> {
    match found {
        Found::Known(value) => Ok(Some(value)),
        Found::Absent => Ok(None),
        Found::Unknown(why) | Found::Hidden(why) => Err(why.to_owned()),
    }
}

/// Containers and init containers of that pod.
pub(crate) fn containers<'a>(subject: Subject<'a>) -> Result<Vec<&'a Attribute>, String> {
    let Some(pod) = pod(subject)? else { return Ok(vec![]) };
    let view = View::Value(pod);
    let mut all = view.items("containers").map_err(str::to_owned)?;
    all.extend(view.items("initContainers").map_err(str::to_owned)?);
    Ok(all)
}

/// An image is named with a digest or with a tag other than `latest`.
pub(crate) fn image_tag_fixed(subject: Subject<'_>, at: &str, _value: Option<&toml::Value>) -> Truth {
    match subject.view.at(at) {
        Found::Absent => Truth::False,
        Found::Unknown(why) | Found::Hidden(why) => Truth::Unknown(why.to_owned()),
        Found::Known(image) => match image.as_str().map(str::trim) {
            None | Some("") => Truth::Unknown("the image is no text".into()),
            Some(image) if image.contains('@') => Truth::True,
            Some(image) => {
                let name = image.rsplit('/').next().unwrap_or(image);
                Truth::of(name.split_once(':').is_some_and(|(_, tag)| !tag.is_empty() && tag != "latest"))
            }
        },
    }
}

/// What a security context says about one question.
#[derive(Clone, Copy, PartialEq)]
enum Said {
    Yes,
    No,
    Nothing,
}

fn non_root(view: View<'_>) -> Result<Said, String> {
    Ok(match known(view.at("securityContext.runAsNonRoot"))? {
        None => Said::Nothing,
        Some(value) if value.as_bool() == Some(true) => Said::Yes,
        Some(_) => Said::No,
    })
}

fn user_at_least(view: View<'_>, least: f64) -> Result<Said, String> {
    Ok(match known(view.at("securityContext.runAsUser"))? {
        None => Said::Nothing,
        Some(value) if value.as_f64().is_some_and(|id| id >= least) => Said::Yes,
        Some(_) => Said::No,
    })
}

fn truth(decided: Result<bool, String>) -> Truth {
    decided.map_or_else(Truth::Unknown, Truth::of)
}

fn main_containers(view: View<'_>) -> Result<Vec<View<'_>>, String> {
    Ok(view.items("containers").map_err(str::to_owned)?.into_iter().map(View::Value).collect())
}

/// No container runs as root. What a container says stands over what its pod says.
pub(crate) fn not_root(subject: Subject<'_>, _at: &str, _value: Option<&toml::Value>) -> Truth {
    truth(runs_not_as_root(subject.view))
}

fn runs_not_as_root(pod: View<'_>) -> Result<bool, String> {
    let (pod_non_root, pod_user) = (non_root(pod)?, user_at_least(pod, 1.0)?);
    for container in main_containers(pod)? {
        let (non_root, user) = (non_root(container)?, user_at_least(container, 1.0)?);
        let bad = match (pod_non_root, pod_user) {
            (Said::Yes, _) => non_root == Said::No && user != Said::Yes,
            (_, Said::Yes) => user == Said::No,
            _ => non_root != Said::Yes && user != Said::Yes,
        };
        if bad {
            return Ok(false);
        }
    }
    Ok(!is_empty(pod))
}

fn is_empty(pod: View<'_>) -> bool {
    matches!(pod, View::Value(Attribute::Null))
}

/// Every container's user is one of 10,000 and above, which no host gives to anybody.
pub(crate) fn high_user_id(subject: Subject<'_>, _at: &str, _value: Option<&toml::Value>) -> Truth {
    truth(has_high_user(subject.view))
}

fn has_high_user(pod: View<'_>) -> Result<bool, String> {
    if known(pod.at("hostUsers"))?.and_then(Attribute::as_bool) == Some(false) {
        return Ok(true);
    }
    let pod_user = user_at_least(pod, 10_000.0)?;
    let users = main_containers(pod)?.into_iter().map(|c| user_at_least(c, 10_000.0)).collect::<Result<Vec<_>, _>>()?;
    Ok(match pod_user {
        Said::Yes => !users.contains(&Said::No),
        _ => !users.is_empty() && users.iter().all(|user| *user == Said::Yes),
    })
}

/// The pod, or each of its containers, has the runtime's own seccomp profile; old annotations count.
pub(crate) fn seccomp_default(subject: Subject<'_>, _at: &str, _value: Option<&toml::Value>) -> Truth {
    truth(has_seccomp(subject))
}

fn has_seccomp(subject: Subject<'_>) -> Result<bool, String> {
    const PROFILE: &str = "securityContext.seccompProfile.type";
    let pod = pod(subject)?;
    if let Some(pod) = pod.map(View::Value) {
        if let Some(profile) = known(pod.at(PROFILE))? {
            return Ok(profile.as_str() == Some("RuntimeDefault"));
        }
        let containers = main_containers(pod)?;
        let profiles = containers.iter().map(|c| known(c.at(PROFILE))).collect::<Result<Vec<_>, _>>()?;
        let default = profiles.iter().filter(|p| p.and_then(|p| p.as_str()) == Some("RuntimeDefault")).count();
        if profiles.iter().flatten().count() > default {
            return Ok(false);
        }
        if !containers.is_empty() && default == containers.len() {
            return Ok(true);
        }
    }
    let path = pod_path(&subject.resource.kind);
    let template = path.strip_suffix(".spec").map_or_else(|| "metadata".to_owned(), |p| format!("{p}.metadata"));
    for metadata in [template.as_str(), "metadata"] {
        if let Some(Attribute::Map(notes)) = known(subject.view.at(&format!("{metadata}.annotations")))? {
            let named = notes.iter().filter(|(k, _)| k.contains("seccomp.security.alpha.kubernetes.io/pod"));
            let text = |v: &Attribute| v.as_str().unwrap_or_default().to_owned();
            let old = |t: String| t.contains("docker/default") || t.contains("runtime/default");
            if named.map(|(_, v)| text(v)).any(old) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}
