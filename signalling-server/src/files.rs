//! Files of a folder bucket, for whoever has a signed link.

use std::io;
use std::path::{Path, PathBuf};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use axum::response::IntoResponse as _;
use roomtone_protocol::{ErrorReport, FileLinkError, FileLinkKey, attachment, code};
use serde::Deserialize;
use tower_http::services::ServeFile;

use crate::answer;

/// A folder whose files the relay serves by signed link.
#[derive(Debug, Clone)]
pub struct FileShare {
    /// The folder; keys are paths in it, with `/` between folders.
    pub root: PathBuf,
    /// Checks the links; whoever makes them has the same.
    pub key: FileLinkKey,
}

/// The part of a link after `?`.
#[derive(Debug, Deserialize)]
pub(crate) struct LinkQuery {
    expires: i64,
    signature: String,
}

/// Serves the file `key` if the link is good at `now`, in seconds since 1970.
pub(crate) async fn serve(
    share: &FileShare,
    key: &str,
    query: Option<LinkQuery>,
    now: i64,
    request: Request<Body>,
) -> Response<Body> {
    let checked = query.ok_or(FileLinkError::Forged);
    let checked = checked.and_then(|query| share.key.check(key, query.expires, &query.signature, now));
    if let Err(error) = checked {
        return answer::error(StatusCode::FORBIDDEN, &refused(error));
    }
    let path = match locate(&share.root, key).await {
        Ok(Some(path)) => path,
        Ok(None) => return not_found(),
        Err(error) => return failed(&error),
    };
    match respond(&path, request).await {
        Ok(mut response) => {
            response.headers_mut().extend(file_headers(key));
            response
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => not_found(),
        Err(error) => failed(&error),
    }
}

/// The plain file that `key` names inside `root`, wherever symbolic links lead.
async fn locate(root: &Path, key: &str) -> io::Result<Option<PathBuf>> {
    // Also no drives and streams (`:`) and no other separators (`\`), whatever the platform makes of them,
    // and nothing that is hidden or on its way in, which begins with a dot.
    let plain = |part: &str| {
        !part.is_empty() && !part.starts_with('.') && !part.contains(['\\', ':']) && !part.contains(char::is_control)
    };
    if !key.split('/').all(plain) {
        return Ok(None);
    }
    let found = async {
        let root = tokio::fs::canonicalize(root).await?;
        let path = tokio::fs::canonicalize(root.join(key)).await?;
        let is_file = tokio::fs::metadata(&path).await?.is_file();
        io::Result::Ok((path.starts_with(&root) && is_file).then_some(path))
    };
    match found.await {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        found => found,
    }
}

/// Answers a request for the file, with `Range`, `If-Range` and the other conditions of RFC 9110.
///
/// `ServeFile` knows all of them but `If-Range`. That one with an entity tag asks what `If-Match` asks, and only the
/// answer to "no" differs: the whole file. With a date it could be true of a file that changed within the second,
/// so that too gets the whole file (RFC 9110, section 13.1.5).
async fn respond(path: &Path, mut request: Request<Body>) -> io::Result<Response<Body>> {
    let headers = request.headers_mut();
    let condition = headers.remove(header::IF_RANGE);
    let Some(condition) = condition.filter(|_| headers.contains_key(header::RANGE)) else {
        return serve_file(path, request).await;
    };
    let (mut partial, mut whole) = (Request::new(Body::empty()), Request::new(Body::empty()));
    for copy in [&mut partial, &mut whole] {
        *copy.method_mut() = request.method().clone();
        *copy.headers_mut() = request.headers().clone();
    }
    whole.headers_mut().remove(header::RANGE);
    let is_one_tag = condition.as_bytes().starts_with(b"\"") && !condition.as_bytes().contains(&b',');
    if !is_one_tag || request.headers().contains_key(header::IF_MATCH) {
        return serve_file(path, whole).await;
    }
    partial.headers_mut().insert(header::IF_MATCH, condition);
    let response = serve_file(path, partial).await?;
    if response.status() == StatusCode::PRECONDITION_FAILED { serve_file(path, whole).await } else { Ok(response) }
}

async fn serve_file(path: &Path, request: Request<Body>) -> io::Result<Response<Body>> {
    Ok(ServeFile::new(path).try_call(request).await?.map(Body::new))
}

fn file_headers(key: &str) -> HeaderMap {
    let disposition = HeaderValue::from_str(&attachment(key)).expect("both forms of the name are ASCII");
    HeaderMap::from_iter([
        (header::CONTENT_DISPOSITION, disposition),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        // The file came from somebody: whatever it is, it is nothing of this site's.
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache")),
    ])
}

fn refused(error: FileLinkError) -> ErrorReport {
    match error {
        FileLinkError::Expired => {
            ErrorReport::new(code::LINK_EXPIRED, "this link has expired", "ask for a new link in the app")
        }
        FileLinkError::Forged => ErrorReport::new(
            code::UNAUTHORIZED,
            "this link is not genuine",
            "check that the whole link was copied, or ask for a new one in the app",
        ),
    }
}

pub(crate) fn not_found() -> Response<Body> {
    let error = ErrorReport::new(
        code::RECORDING_NOT_FOUND,
        "there is no such file",
        "look whether the recording was renamed or deleted",
    );
    answer::error(StatusCode::NOT_FOUND, &error)
}

fn failed(error: &io::Error) -> Response<Body> {
    tracing::warn!(%error, "a file could not be served");
    let error = ErrorReport::new(code::IO, "the file cannot be read", "try again, or tell the host");
    answer::error(StatusCode::INTERNAL_SERVER_ERROR, &error).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_plain_files_under_the_root_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("bucket");
        std::fs::create_dir_all(root.join("recordings/.hidden")).unwrap();
        for file in ["bucket/recordings/a b.wav", "bucket/recordings/.part", "bucket/recordings/.hidden/x", "outside"] {
            std::fs::write(dir.path().join(file), b"x").unwrap();
        }
        assert!(locate(&root, "recordings/a b.wav").await.unwrap().is_some());
        let nothing = [
            "",
            "/",
            "recordings",
            "recordings/",
            "recordings/missing.wav",
            "recordings/a b.wav/more",
            "recordings/.part",
            "recordings/.hidden/x",
            "../outside",
            "recordings/../../outside",
            "recordings/..\\..\\outside",
            "C:/outside",
            "recordings/a b.wav:stream",
            "recordings/a\0.wav",
            "//recordings/a b.wav",
        ];
        for key in nothing {
            assert_eq!(locate(&root, key).await.unwrap(), None, "{key:?}");
        }
        let absolute = dir.path().join("outside");
        assert_eq!(locate(&root, absolute.to_str().unwrap()).await.unwrap(), None);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn symbolic_links_lead_nowhere_outside() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("bucket");
        std::fs::create_dir_all(&root).unwrap();
        std::fs::create_dir_all(dir.path().join("bucket-two")).unwrap();
        std::fs::write(dir.path().join("bucket-two/file"), b"x").unwrap();
        std::fs::write(root.join("inside"), b"x").unwrap();
        std::os::unix::fs::symlink(dir.path().join("bucket-two"), root.join("folder")).unwrap();
        std::os::unix::fs::symlink(dir.path().join("bucket-two/file"), root.join("link")).unwrap();
        assert_eq!(locate(&root, "folder/file").await.unwrap(), None);
        assert_eq!(locate(&root, "link").await.unwrap(), None);
        assert!(locate(&root, "inside").await.unwrap().is_some());
    }

    #[test]
    fn file_names_of_any_alphabet_come_through_as_text() {
        let headers = file_headers("recordings/Größe \"x\"\r\n.wav");
        assert_eq!(
            headers[header::CONTENT_DISPOSITION],
            "attachment; filename=\"Gr__e _x___.wav\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe%20%22x%22%0D%0A.wav"
        );
    }
}
