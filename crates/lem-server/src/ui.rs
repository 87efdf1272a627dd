//! The web UI: files of `ui/dist`, built into the program.

use crate::error::ApiError;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Method, StatusCode, header};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "../../ui/dist"]
#[allow_missing = true]
struct Files;

/// Shown where the UI was not built.
const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Lemniscate</title></head>\
<body><h1>Lemniscate</h1><p>The server runs; its web UI was not built into it. <code>make ui</code> builds it, then build \
the program again.</p><p>The API is at <a href=\"/api/v1/loop\">/api/v1/loop</a>.</p></body></html>\n";

const FOREVER: &str = "public, max-age=31536000, immutable";
const ASK_AGAIN: &str = "no-cache";

/// Files whose name has a hash never change.
fn is_hashed(path: &str) -> bool {
    let stem = path.rsplit('/').next().unwrap_or(path);
    stem.split(['.', '-']).any(|part| {
        part.len() >= 8
            && part.bytes().all(|b| b.is_ascii_alphanumeric())
            && (part.bytes().any(|b| b.is_ascii_digit()) || part.bytes().all(|b| b.is_ascii_uppercase()))
    })
}

fn file(path: &str, cache: &'static str) -> Option<Response> {
    let found = Files::get(path)?;
    let mime = mime_guess::from_path(path).first_or_octet_stream();
    let mut response = Body::from(found.data.into_owned()).into_response();
    let kind = if mime.type_() == "text" { format!("{mime}; charset=utf-8") } else { mime.to_string() };
    let kind = HeaderValue::from_str(&kind).unwrap_or(HeaderValue::from_static("application/octet-stream"));
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    Some(response)
}

fn page(path: &str, wants_html: bool) -> Option<Response> {
    if let Some(found) = file(path, if is_hashed(path) { FOREVER } else { ASK_AGAIN }) {
        return Some(found);
    }
    // Routes of the UI have no file; what names one and is missing stays missing.
    let is_route = wants_html && !path.rsplit('/').next().unwrap_or_default().contains('.');
    if !is_route {
        return None;
    }
    file("index.html", ASK_AGAIN).or_else(|| {
        let headers = [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CACHE_CONTROL, ASK_AGAIN)];
        Some((headers, NOT_BUILT).into_response())
    })
}

/// Everything that is no route of an API.
pub(crate) async fn serve(request: Request) -> Response {
    let path = request.uri().path();
    let missing = || ApiError::missing("page", path).into_response();
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let detail = format!("{} takes no {}", path, request.method());
        return ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail).into_response();
    }
    if ["/api/", "/prometheus/", "/loki/"].iter().any(|prefix| path.starts_with(prefix)) {
        return missing();
    }
    let accept = request.headers().get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or("*/*");
    let wants_html = accept.contains("text/html") || accept.contains("*/*");
    page(path.trim_start_matches('/'), wants_html).unwrap_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hashed_names_are_kept_forever() {
        for (path, hashed) in [
            ("assets/app-3F2A11C0.js", true),
            ("app.5d41402a.css", true),
            ("chunk-ABCDEFGH.js", true),
            ("index.html", false),
            ("favicon.svg", false),
            ("manifest.webmanifest", false),
        ] {
            assert_eq!(is_hashed(path), hashed, "{path}");
        }
    }
}
