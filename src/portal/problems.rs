//! `/.auth/problems/<slug>`: what a kind of refusal means, for whoever meets it and for whoever runs the gateway.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::site::Site;
use super::visit::Visit;
use crate::refusal::{Problem, Refusal};

#[derive(Serialize)]
struct ProblemView<'a> {
    slug: &'static str,
    status: u16,
    title: &'a str,
    detail: &'a str,
    operator: &'a str,
}

impl Site {
    pub(super) fn problem_page(&self, visit: &Visit<'_>) -> Response<Bytes> {
        let slug = visit.head.path.strip_prefix("/.auth/problems/");
        let Some(&problem) = Problem::ALL.iter().find(|problem| Some(problem.slug()) == slug) else {
            return self.refuse_visit(visit, &Refusal::new(Problem::NotFound));
        };
        self.explain_problem(visit, problem)
    }

    pub(super) fn explain_problem(&self, visit: &Visit<'_>, problem: Problem) -> Response<Bytes> {
        let view = ProblemView {
            slug: problem.slug(),
            status: problem.status().as_u16(),
            title: self.title(visit, problem),
            detail: self.explanation(visit, problem, "detail"),
            operator: self.explanation(visit, problem, "operator"),
        };
        self.page(visit, StatusCode::OK, "problem.html", &view)
    }
}
