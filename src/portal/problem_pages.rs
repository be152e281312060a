//! `/.auth/problems/<slug>`: what a kind of refusal means, for whoever meets it and for whoever runs the gateway.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::renderer::PageRenderer;
use super::request_context::RequestContext;
use crate::refusal::{Problem, Refusal};

#[derive(Serialize)]
struct ProblemView<'a> {
    slug: &'static str,
    status: u16,
    title: &'a str,
    detail: &'a str,
    operator: &'a str,
}

impl PageRenderer {
    pub(super) fn problem_page(&self, context: &RequestContext<'_>) -> Response<Bytes> {
        let slug = context.head.path.strip_prefix("/.auth/problems/");
        let Some(&problem) = Problem::ALL.iter().find(|problem| Some(problem.slug()) == slug) else {
            return self.refuse_visit(context, &Refusal::new(Problem::NotFound));
        };
        self.explain_problem(context, problem)
    }

    pub(super) fn explain_problem(&self, context: &RequestContext<'_>, problem: Problem) -> Response<Bytes> {
        let view = ProblemView {
            slug: problem.slug(),
            status: problem.status().as_u16(),
            title: self.title(context, problem),
            detail: self.explanation(context, problem, "detail"),
            operator: self.explanation(context, problem, "operator"),
        };
        self.page(context, StatusCode::OK, "problem.html", &view)
    }
}
