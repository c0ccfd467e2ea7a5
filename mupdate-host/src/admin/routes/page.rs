//! `GET /`: the status page. One answer, in which style and script are put into their places; it fetches nothing but
//! [events](super::events).

use std::sync::OnceLock;

use mupdate_proto::encode_base64;
use sha2::{Digest, Sha256};

use super::{Answer, Call};
use crate::admin::http::Refused;

const FRAME: &str = include_str!("../page/page.html");
const STYLE: &str = include_str!("../page/page.css");
/// Its parts know of each other what stands in front of them.
const SCRIPT: &str = concat!(
    include_str!("../page/words.js"),
    include_str!("../page/trouble.js"),
    include_str!("../page/plot.js"),
    include_str!("../page/page.js"),
    include_str!("../page/line.js"),
);

/// The page, and what browsers are to hold it to.
struct Page {
    html: String,
    policy: String,
}

/// The same page for everybody: what it shows comes by events.
pub(super) fn page(_call: &mut Call<'_>) -> Result<Answer, Refused> {
    static PAGE: OnceLock<Page> = OnceLock::new();
    let Page { html, policy } = PAGE.get_or_init(Page::new);
    let mut answer = Answer::text("text/html; charset=utf-8", html.as_str());
    answer.last = true;
    answer.fields.extend([
        ("Content-Security-Policy", policy.clone()),
        ("Referrer-Policy", "no-referrer".into()),
        ("Cross-Origin-Opener-Policy", "same-origin".into()),
        ("Cross-Origin-Resource-Policy", "same-origin".into()),
        ("X-Frame-Options", "DENY".into()),
    ]);
    Ok(answer)
}

impl Page {
    fn new() -> Self {
        let html = FRAME.replace("/* page.css */", STYLE).replace("/* page.js */", SCRIPT);
        // Nothing runs and nothing is fetched but what is here; and no text ever becomes markup.
        let policy = format!(
            "default-src 'none'; style-src '{}'; script-src '{}'; img-src data:; connect-src 'self'; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
             require-trusted-types-for 'script'; trusted-types 'none'",
            hash(STYLE),
            hash(SCRIPT)
        );
        Self { html, policy }
    }
}

/// A text as a policy names it (CSP section 2.3.1).
fn hash(text: &str) -> String {
    format!("sha256-{}", encode_base64(&Sha256::digest(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_one_answer_and_fetches_nothing() {
        let Page { html, policy } = Page::new();
        assert!(html.starts_with("<!doctype html>") && html.contains("<title>"));
        assert!(html.contains(STYLE) && html.contains(SCRIPT));
        for part in [STYLE, SCRIPT] {
            // Or it would end its element; and its hash would be that of something else.
            assert!(!part.contains("</") && !part.contains('\r'));
            assert!(policy.contains(&hash(part)), "{policy}");
        }
        for elsewhere in
            ["http:", "https:", "//fonts", "@import", "url(", "innerHTML", " style=", " onclick="]
        {
            let told = html.replace("http://www.w3.org/2000/svg", "");
            assert!(!told.contains(elsewhere), "{elsewhere}");
        }
        assert_eq!(hash("x"), "sha256-LXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE=");
    }
}
