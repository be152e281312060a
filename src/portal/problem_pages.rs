//! `/.auth/problems/<slug>`: explains a kind of refusal to users and operators.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::page_context::PageResult;
use super::request_context::RequestContext;
use crate::refusal::Problem;
use crate::route::Page;

#[derive(Serialize)]
struct ProblemView<'a> {
    slug: &'static str,
    status: u16,
    title: &'a str,
    detail: &'a str,
    operator: &'a str,
}

#[derive(Serialize)]
struct ProblemList<'a> {
    problems: Vec<ProblemView<'a>>,
}

pub(super) fn get(cx: &RequestContext<'_>) -> PageResult {
    let slug = cx.head.path.strip_prefix(Page::Problem.path());
    if slug == Some("") {
        return Ok(list(cx));
    }
    let mut known = Problem::ALL.iter();
    match known.find(|problem| Some(problem.slug()) == slug) {
        Some(problem) => Ok(page(cx, *problem)),
        None => Err(Problem::NotFound.into()),
    }
}

pub(super) fn page(cx: &RequestContext<'_>, problem: Problem) -> Response<Bytes> {
    cx.page(StatusCode::OK, "problem.html", &view(cx, problem))
}

pub(super) fn list(cx: &RequestContext<'_>) -> Response<Bytes> {
    let list = ProblemList {
        problems: Problem::ALL.iter().map(|&problem| view(cx, problem)).collect(),
    };
    cx.page(StatusCode::OK, "problems.html", &list)
}

fn view<'a>(cx: &RequestContext<'a>, problem: Problem) -> ProblemView<'a> {
    ProblemView {
        slug: problem.slug(),
        status: problem.status().as_u16(),
        title: cx.title(problem),
        detail: cx.explanation(problem, "detail"),
        operator: cx.explanation(problem, "operator"),
    }
}
