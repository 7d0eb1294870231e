//! Simpler lists of choices, tried as long as the statement that they make fails in the same way.

use super::choices::Span;

/// The lists to try instead of one, the boldest first.
pub(super) fn candidates(made: &[u32], spans: &[Span]) -> Vec<Vec<u32>> {
    let mut out: Vec<Vec<u32>> = Vec::new();
    let mut spans: Vec<Span> = spans.iter().copied().filter(|span| span.end > span.start).collect();
    spans.sort_by_key(|span| std::cmp::Reverse(span.end - span.start));
    // A piece by a piece of the same label within it: an expression by its operand.
    for outer in &spans {
        let inside = |inner: &&Span| {
            inner.label == outer.label
                && inner.start >= outer.start
                && inner.end <= outer.end
                && inner.end - inner.start < outer.end - outer.start
        };
        out.extend(spans.iter().filter(inside).map(|inner| replaced(made, *outer, slice(made, *inner))));
    }
    // A piece by the simplest of its label, and by nothing, which shifts what follows.
    for span in &spans {
        let zeros = vec![0; span.end - span.start];
        if slice(made, *span) != zeros {
            out.push(replaced(made, *span, &[0]));
            out.push(replaced(made, *span, &zeros));
        }
        out.push(replaced(made, *span, &[]));
    }
    for at in 0..made.len() {
        let here = Span { label: 0, start: at, end: at + 1 };
        let value = slice(made, here).first().copied().unwrap_or_default();
        if value > 0 {
            out.push(replaced(made, here, &[0]));
        }
        if value > 1 {
            out.push(replaced(made, here, &[value / 2]));
            out.push(replaced(made, here, &[value - 1]));
        }
    }
    out.retain(|list| simpler(list, made));
    out
}

/// Fewer choices, or as many and smaller: what shrinking by must end.
fn simpler(left: &[u32], right: &[u32]) -> bool {
    (left.len(), left) < (right.len(), right)
}

fn slice(made: &[u32], span: Span) -> &[u32] {
    made.get(span.start..span.end).unwrap_or_default()
}

fn replaced(made: &[u32], span: Span, by: &[u32]) -> Vec<u32> {
    let (head, tail) = (made.get(..span.start).unwrap_or_default(), made.get(span.end..).unwrap_or_default());
    [head, by, tail].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_are_simpler_and_lift_pieces_out_of_pieces() {
        let made = [5, 1, 9, 9, 2];
        let spans = [Span { label: 3, start: 1, end: 5 }, Span { label: 3, start: 2, end: 4 }];
        let lists = candidates(&made, &spans);
        assert!(lists.contains(&vec![5, 9, 9]), "{lists:?}");
        assert!(lists.contains(&vec![0, 1, 9, 9, 2]));
        assert!(lists.iter().all(|list| simpler(list, &made)));
        assert!(candidates(&[], &[]).is_empty());
    }
}
