//! Errors as every program of Roomtone reads them.

use axum::Json;
use axum::body::Body;
use axum::http::{Response, StatusCode, header};
use axum::response::IntoResponse as _;
use roomtone_protocol::ErrorReport;

/// `{"error":{"code","message","hint"}}`.
pub(crate) fn error(status: StatusCode, report: &ErrorReport) -> Response<Body> {
    let body = Json(serde_json::json!({ "error": report }));
    (status, [(header::CACHE_CONTROL, "no-store")], body).into_response()
}
