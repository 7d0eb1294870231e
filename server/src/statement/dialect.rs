//! How sqlparser reads queries for us: PostgreSQL's grammar, in bounded steps.

use std::any::TypeId;
use std::cell::Cell;

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr};
use datafusion::sql::sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token as SqlToken;

use super::forms;
use super::keywords::{self, Category, category};

/// Operands tried for each token before the parser's backtracking is cut off, …
const STEPS_PER_TOKEN: usize = 4;
/// … and how many more.
const STEPS_EXTRA: usize = 20_000;

/// sqlparser's PostgreSQL dialect, with an end to its backtracking and without the alternatives that its parser tries
/// where PostgreSQL's grammar has but one. `json_object('a': 1)`, which is not in PostgreSQL 15, is left out: to find the
/// colon each argument would be read twice, at each level of nesting.
#[derive(Debug)]
pub(super) struct PostgreSql {
    inner: PostgreSqlDialect,
    steps_left: Cell<usize>,
    /// The last token that an alternative got to, which need not be the one whose error the parser reports.
    pub(super) furthest: Cell<usize>,
}

impl PostgreSql {
    pub(super) fn new(tokens: usize) -> Self {
        Self {
            inner: PostgreSqlDialect {},
            steps_left: Cell::new(STEPS_EXTRA + tokens * STEPS_PER_TOKEN),
            furthest: Cell::new(0),
        }
    }

    fn reached(&self, parser: &Parser) {
        self.furthest.set(self.furthest.get().max(parser.index()));
    }

    pub(super) fn exhausted(&self) -> bool {
        self.steps_left.get() == 0
    }
}

impl PostgreSql {
    /// `BETWEEN SYMMETRIC a AND b` is between the two in either order; ASYMMETRIC says nothing.
    fn parse_symmetric_between(&self, parser: &mut Parser, expr: &Expr) -> Option<Result<Expr, ParserError>> {
        let negated = is_word(parser, 0, "not");
        let between = usize::from(negated);
        let symmetric = is_word(parser, between + 1, "symmetric");
        if !is_word(parser, between, "between") || !(symmetric || is_word(parser, between + 1, "asymmetric")) {
            return None;
        }
        for _ in 0..between + 2 {
            parser.advance_token();
        }
        let precedence = self.prec_value(Precedence::Between);
        let bounds = parser.parse_subexpr(precedence).and_then(|low| {
            parser.expect_keyword_is(Keyword::AND)?;
            Ok((low, parser.parse_subexpr(precedence)?))
        });
        Some(bounds.map(|(low, high)| {
            let between = |low: &Expr, high: &Expr| Expr::Between {
                expr: Box::new(expr.clone()),
                negated,
                low: Box::new(low.clone()),
                high: Box::new(high.clone()),
            };
            if !symmetric {
                return between(&low, &high);
            }
            let op = if negated { BinaryOperator::And } else { BinaryOperator::Or };
            let (left, right) = (Box::new(between(&low, &high)), Box::new(between(&high, &low)));
            Expr::Nested(Box::new(Expr::BinaryOp { left, op, right }))
        }))
    }
}

/// Whether a token that is to come is a word, not in quotes.
fn is_word(parser: &Parser, at: usize, word: &str) -> bool {
    match &parser.peek_nth_token_ref(at).token {
        SqlToken::Word(own) => own.quote_style.is_none() && own.value == word,
        _ => false,
    }
}

/// A keyword as the word it is.
fn folded(keyword: Keyword) -> String {
    format!("{keyword:?}").to_ascii_lowercase()
}

macro_rules! as_postgresql {
    ($($name:ident),* $(,)?) => { $(fn $name(&self) -> bool { self.inner.$name() })* };
}

impl Dialect for PostgreSql {
    fn dialect(&self) -> TypeId {
        TypeId::of::<PostgreSqlDialect>()
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        self.inner.identifier_quote_style(identifier)
    }

    fn is_delimited_identifier_start(&self, c: char) -> bool {
        self.inner.is_delimited_identifier_start(c)
    }

    fn is_identifier_start(&self, c: char) -> bool {
        self.inner.is_identifier_start(c)
    }

    fn is_identifier_part(&self, c: char) -> bool {
        self.inner.is_identifier_part(c)
    }

    fn is_reserved_for_identifier(&self, keyword: Keyword) -> bool {
        self.inner.is_reserved_for_identifier(keyword)
    }

    fn is_custom_operator_part(&self, c: char) -> bool {
        self.inner.is_custom_operator_part(c)
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        self.reached(parser);
        if is_word(parser, 0, "isnull") {
            return Some(Ok(self.prec_value(Precedence::Is)));
        }
        self.inner.get_next_precedence(parser)
    }

    fn is_column_alias(&self, keyword: &Keyword, _parser: &mut Parser) -> bool {
        keywords::may_be_bare_label(&folded(*keyword))
    }

    fn is_table_alias(&self, keyword: &Keyword, _parser: &mut Parser) -> bool {
        let word = folded(*keyword);
        // These two begin what follows the table of UPDATE and INSERT.
        matches!(category(&word), Category::Free | Category::ColumnName) && !matches!(word.as_str(), "set" | "values")
    }

    fn prec_value(&self, precedence: Precedence) -> u8 {
        self.inner.prec_value(precedence)
    }

    /// CAST, CASE, NOT and EXTRACT begin nothing else in PostgreSQL. sqlparser, when it cannot read what follows, reads
    /// it once more as a function's arguments: twice the work at each level of nesting.
    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        self.reached(parser);
        match self.steps_left.get() {
            0 => return Some(Err(ParserError::RecursionLimitExceeded)),
            left => self.steps_left.set(left - 1),
        }
        if let Some(operand) = forms::prefix(parser) {
            return Some(operand);
        }
        let keyword = match &parser.peek_token_ref().token {
            SqlToken::Word(word) if word.quote_style.is_none() && !keywords::may_begin_expression(&word.value) => {
                return Some(parser.expected("an expression", parser.peek_token()));
            }
            SqlToken::Word(word) => word.keyword,
            _ => return None,
        };
        match keyword {
            Keyword::CAST => {
                parser.advance_token();
                Some(parser.parse_cast_expr(datafusion::sql::sqlparser::ast::CastKind::Cast))
            }
            Keyword::CASE => {
                parser.advance_token();
                Some(parser.parse_case_expr())
            }
            Keyword::NOT => {
                parser.advance_token();
                Some(parser.parse_not())
            }
            Keyword::EXTRACT if parser.peek_nth_token_ref(1).token == SqlToken::LParen => {
                parser.advance_token();
                Some(parser.parse_extract_expr())
            }
            _ => None,
        }
    }

    /// What sqlparser reads otherwise, or not at all: `x ISNULL`, `BETWEEN SYMMETRIC`, and the right side of IS DISTINCT
    /// FROM, which ends where IS binds less and not behind AND and OR.
    fn parse_infix(&self, parser: &mut Parser, expr: &Expr, precedence: u8) -> Option<Result<Expr, ParserError>> {
        if is_word(parser, 0, "isnull") {
            parser.advance_token();
            return Some(Ok(Expr::IsNull(Box::new(expr.clone()))));
        }
        if let Some(between) = self.parse_symmetric_between(parser, expr) {
            return Some(between);
        }
        if let Some(like) = forms::quantified_like(parser, expr) {
            return Some(like);
        }
        let keyword = |at: usize| match &parser.peek_nth_token_ref(at).token {
            SqlToken::Word(word) if word.quote_style.is_none() => word.keyword,
            _ => Keyword::NoKeyword,
        };
        let negated = keyword(1) == Keyword::NOT;
        let first = 1 + usize::from(negated);
        let found =
            keyword(0) == Keyword::IS && keyword(first) == Keyword::DISTINCT && keyword(first + 1) == Keyword::FROM;
        if !found {
            return None;
        }
        for _ in 0..first + 2 {
            parser.advance_token();
        }
        let left = Box::new(expr.clone());
        Some(parser.parse_subexpr(precedence).map(|right| match negated {
            true => Expr::IsNotDistinctFrom(left, Box::new(right)),
            false => Expr::IsDistinctFrom(left, Box::new(right)),
        }))
    }

    /// For `TABLE t`, which is read so; what a user writes like this is refused afterwards.
    fn supports_from_first_select(&self) -> bool {
        true
    }

    as_postgresql! {
        supports_unicode_string_literal, supports_filter_during_aggregation, supports_group_by_expr,
        allow_extract_custom, allow_extract_single_quotes, supports_create_index_with_clause,
        supports_explain_with_utility_options, supports_listen_notify, supports_factorial_operator,
        supports_bitwise_shift_operators, supports_comment_on, supports_load_extension,
        supports_empty_projections,
        supports_nested_comments, supports_string_escape_constant, supports_numeric_literal_underscores,
        supports_array_typedef_with_brackets, supports_geometric_types, supports_set_names,
        supports_alter_column_type_using, supports_notnull_operator, supports_interval_options,
        supports_insert_table_alias, supports_create_table_like_parenthesized,
        supports_comma_separated_trim, supports_xml_expressions, supports_comment_optimizer_hint,
    }
}
