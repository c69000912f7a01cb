//! What is answered for a name under which there is no regular file: the way to a directory, what is in it, the page of a
//! single-page application, or that there is nothing.

mod client;
mod spa;

use http::{HeaderValue, StatusCode, header};

pub use self::spa::Spa;
use super::Files;
use super::encoding;
use super::listing;
use super::name::Name;
use super::refusal::Refusal;
use super::representation::Representation;
use crate::app::response::Response;
use crate::semantics::head::RequestHead;

/// The answer for `name`, under which a look-up found `refusal` instead of a file.
pub(super) fn answer(files: &Files, head: &RequestHead, name: &Name, refusal: Refusal) -> Result<Response, Refusal> {
    match refusal {
        Refusal::Directory if !name.is_index() => return redirect_to_directory(head),
        // The index of a directory is a directory itself, which is as good as none.
        Refusal::Directory | Refusal::NotFound => {}
        refusal => return Err(refusal),
    }
    let rules = files.policy.rules();
    if rules.options.listing && name.is_index() {
        match listing::answer(files, head, name) {
            Err(Refusal::NotFound) => {}
            answer => return answer,
        }
    }
    match &rules.options.spa {
        Some(spa) if spa.answers(head) => page(files, head, spa.page(), &rules.ask_again),
        _ => Err(Refusal::NotFound),
    }
}

/// The page of a single-page application, as if it were the file that was asked for. Caches have to ask each time, since
/// the page names the scripts of one version, and not every request for this path gets it.
fn page(files: &Files, head: &RequestHead, name: &Name, cache_control: &HeaderValue) -> Result<Response, Refusal> {
    let entry = files.lookup(name).map_err(|refusal| match refusal {
        Refusal::Directory => Refusal::NotFound,
        other => other,
    })?;
    let variant = encoding::choose(files, head, name, entry)?;
    let mut response = Representation::new(&variant, Some(cache_control)).answer(head)?;
    vary_by_client(&mut response);
    Ok(response)
}

/// The answer to a request that was refused: a page of the site's own, `404.html` or `403.html` in the root, if it has one
/// and the client wants a page. There are no conditions, ranges or validators on it, since it is not what was asked for.
pub(super) fn refuse(files: &Files, head: &RequestHead, path: &str, refusal: Refusal) -> Response {
    let plain = refusal.into_response(path);
    let own = match plain.status() {
        StatusCode::NOT_FOUND => own_page(files, head, "404.html"),
        StatusCode::FORBIDDEN => own_page(files, head, "403.html"),
        _ => return plain,
    };
    let mut response = match own {
        Some(mut own) => {
            own.set_status(plain.status());
            own
        }
        None => plain,
    };
    // Caches may keep a 404 by their own judgement (RFC 9110 section 15.5.5), and would go on with it when another replica
    // has brought the file.
    response.headers_mut().append(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    vary_by_client(&mut response);
    response
}

fn own_page(files: &Files, head: &RequestHead, name: &str) -> Option<Response> {
    if !client::may_want_page(head) {
        return None;
    }
    let name = Name::parse(name).ok()?;
    let entry = files.lookup(&name).ok()?;
    let variant = encoding::choose(files, head, &name, entry).ok()?;
    let mut response = Representation::new(&variant, None).whole(head).ok()?;
    for validator in [header::ETAG, header::LAST_MODIFIED, header::ACCEPT_RANGES] {
        response.headers_mut().remove(&validator);
    }
    Some(response)
}

/// Says that the answer depends on who asked, beside Accept-Encoding if it depends on that already. In one field, since some
/// caches read only the first.
pub(super) fn vary_by_client(response: &mut Response) {
    let value = match response.headers().contains(&header::VARY) {
        true => "Accept-Encoding, Accept, Sec-Fetch-Mode",
        false => "Accept, Sec-Fetch-Mode",
    };
    response.headers_mut().insert(header::VARY, HeaderValue::from_static(value));
}

/// 301 to the same path with a slash. The reference is relative to the last segment, so it stays right behind a proxy
/// that strips a prefix, and cannot be made to name another host, as `//host/` would.
pub(super) fn redirect_to_directory(head: &RequestHead) -> Result<Response, Refusal> {
    let segment = head.path().rsplit('/').next().unwrap_or_default();
    let location = match head.query() {
        Some(query) => format!("./{segment}/?{query}"),
        None => format!("./{segment}/"),
    };
    let location = HeaderValue::try_from(location).map_err(|_| Refusal::Malformed)?;
    Ok(Response::new(StatusCode::MOVED_PERMANENTLY).with_header(header::LOCATION, location))
}

#[cfg(test)]
mod tests;
