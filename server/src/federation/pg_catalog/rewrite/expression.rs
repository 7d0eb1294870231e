//! Expressions: qualified functions and operators, casts to `reg…` types, arrays, subqueries.

use datafusion::sql::sqlparser::ast::{
    AccessExpr, ArrayElemTypeDef, BinaryOperator, CharacterLength, DataType, Expr, Function, FunctionArg,
    FunctionArgExpr, FunctionArgumentClause, FunctionArguments, Ident, ObjectName, Subscript, TimezoneInfo,
    TypedString, UnaryOperator, Value, ValueWithSpan,
};

use super::Rewriter;
use super::build::{call, cast, folded, function_name, number, parts, string, string_of, value};
use super::scope::{Found, ItemKind, Scope};
use super::subquery::Hoist;
use crate::federation::pg_catalog::facts::ColumnFact;
use crate::federation::semantics;
use atoll_connector_api::types::{PgType, oids};

/// Where an expression stands.
pub(super) struct Place<'p, 's> {
    pub(super) scope: &'p Scope<'s>,
    /// Its value is shown, so that a `regclass` is its name; elsewhere it is compared, so that it is its OID.
    pub(super) output: bool,
    /// Where joins that it needs are collected; `None`: no join may be added.
    pub(super) hoists: Option<&'p mut Vec<Hoist>>,
    /// It is a condition of WHERE, where DataFusion turns EXISTS and IN into joins itself.
    pub(super) conjunct: bool,
}

impl<'p, 's> Place<'p, 's> {
    pub(super) fn output(scope: &'p Scope<'s>) -> Self {
        Place { scope, output: true, hoists: None, conjunct: false }
    }

    pub(super) fn inner(scope: &'p Scope<'s>) -> Self {
        Place { scope, output: false, hoists: None, conjunct: false }
    }

    fn within(&mut self, output: bool) -> Place<'_, 's> {
        Place { scope: self.scope, output, hoists: self.hoists.as_deref_mut(), conjunct: false }
    }

    fn conjunct(&mut self) -> Place<'_, 's> {
        Place { scope: self.scope, output: self.output, hoists: self.hoists.as_deref_mut(), conjunct: self.conjunct }
    }
}

/// Words that PostgreSQL reads as functions without parentheses.
pub(super) fn is_session_word(name: &str) -> bool {
    ["current_schema", "current_catalog", "current_role", "session_user", "current_user"]
        .iter()
        .any(|word| word.eq_ignore_ascii_case(name))
}

/// Functions that take their arguments' text, so that a `regclass` among them is its name.
const TEXT_FUNCTIONS: [&str; 19] = [
    "format",
    "concat",
    "concat_ws",
    "quote_ident",
    "quote_literal",
    "string_agg",
    "array_agg",
    "array_to_string",
    "coalesce",
    "max",
    "min",
    "replace",
    "regexp_replace",
    "lower",
    "upper",
    "nullif",
    "btrim",
    "substring",
    "split_part",
];

/// A `reg…` type's functions: to text, to OID.
fn reg_functions(type_name: &str) -> Option<(&'static str, &'static str)> {
    Some(match type_name {
        "regclass" => ("regclass_text", "regclass_oid"),
        "regtype" => ("regtype_text", "regtype_oid"),
        "regnamespace" => ("regnamespace_text", "regnamespace_oid"),
        "regrole" => ("regrole_text", "regrole_oid"),
        "regproc" | "regprocedure" => ("regproc_text", "regproc_oid"),
        _ => return None,
    })
}

/// Whether a type's values are names that stand for OIDs.
pub(super) fn is_reg(data_type: &DataType) -> bool {
    type_name(data_type).as_deref().and_then(reg_functions).is_some()
}

impl Rewriter {
    /// Rewrites an expression in place.
    pub(super) fn expression(&mut self, expr: &mut Expr, place: &mut Place<'_, '_>) {
        match expr {
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => column_reference(expr, place.scope),
            Expr::Nested(inner) => self.expression(inner, &mut place.conjunct()),
            Expr::BinaryOp { op: BinaryOperator::And, left, right } => {
                self.expression(left, &mut place.conjunct());
                self.expression(right, &mut place.conjunct());
            }
            Expr::BinaryOp { .. } => self.binary(expr, place),
            Expr::UnaryOp { op: UnaryOperator::Not, expr: inner } if matches!(**inner, Expr::Exists { .. }) => {
                self.expression(inner, &mut place.conjunct());
            }
            Expr::UnaryOp { expr: inner, .. }
            | Expr::IsNull(inner)
            | Expr::IsNotNull(inner)
            | Expr::IsTrue(inner)
            | Expr::IsFalse(inner)
            | Expr::IsNotTrue(inner)
            | Expr::IsNotFalse(inner)
            | Expr::IsUnknown(inner)
            | Expr::IsNotUnknown(inner)
            | Expr::Extract { expr: inner, .. }
            | Expr::Ceil { expr: inner, .. }
            | Expr::Floor { expr: inner, .. } => self.expression(inner, &mut place.within(false)),
            Expr::Trim { expr: inner, trim_what, .. } => {
                self.expression(inner, &mut place.within(true));
                if let Some(what) = trim_what {
                    self.expression(what, &mut place.within(false));
                }
            }
            Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right) => {
                self.expression(left, &mut place.within(false));
                self.expression(right, &mut place.within(false));
                constant_of_column(left, right, place.scope);
            }
            Expr::AtTimeZone { timestamp, time_zone } => {
                self.expression(timestamp, &mut place.within(false));
                self.expression(time_zone, &mut place.within(false));
            }
            Expr::Between { expr: inner, low, high, .. } => {
                for part in [inner, low, high] {
                    self.expression(part, &mut place.within(false));
                }
            }
            Expr::Like { expr: inner, pattern, escape_char, .. }
            | Expr::ILike { expr: inner, pattern, escape_char, .. } => {
                self.expression(inner, &mut place.within(true));
                self.expression(pattern, &mut place.within(true));
                escape_with_backslash(pattern, escape_char);
            }
            Expr::SimilarTo { expr: inner, pattern, .. } => {
                self.expression(inner, &mut place.within(true));
                self.expression(pattern, &mut place.within(true));
            }
            Expr::Position { expr: inner, r#in } => {
                self.expression(inner, &mut place.within(true));
                self.expression(r#in, &mut place.within(true));
            }
            Expr::Substring { expr: inner, substring_from, substring_for, .. } => {
                self.expression(inner, &mut place.within(true));
                for part in [substring_from, substring_for].into_iter().flatten() {
                    self.expression(part, &mut place.within(false));
                }
            }
            Expr::InList { expr: inner, list, .. } => {
                self.expression(inner, &mut place.within(false));
                for item in list.iter_mut() {
                    self.expression(item, &mut place.within(false));
                    constant_of_column(inner, item, place.scope);
                }
            }
            Expr::Case { operand, conditions, else_result, .. } => {
                let output = place.output;
                if let Some(operand) = operand {
                    self.expression(operand, &mut place.within(false));
                }
                for when in conditions {
                    self.expression(&mut when.condition, &mut place.within(false));
                    self.expression(&mut when.result, &mut place.within(output));
                }
                if let Some(result) = else_result {
                    self.expression(result, &mut place.within(output));
                }
            }
            Expr::Tuple(items) => {
                for item in items {
                    self.expression(item, &mut place.within(false));
                }
            }
            Expr::Array(array) => {
                for item in &mut array.elem {
                    self.expression(item, &mut place.within(false));
                }
            }
            Expr::Collate { expr: inner, collation } => {
                self.expression(inner, &mut place.conjunct());
                // Text sorts and matches by code point anyway.
                if parts(collation).last().is_some_and(|name| matches!(name.as_str(), "default" | "C" | "POSIX" | "c"))
                {
                    *expr = std::mem::replace(inner, value(Value::Null));
                }
            }
            Expr::Cast { .. } | Expr::TypedString(_) => self.cast(expr, place),
            Expr::Function(_) => self.function(expr, place),
            Expr::CompoundFieldAccess { .. } => self.access(expr, place),
            Expr::AnyOp { .. } | Expr::AllOp { .. } => self.quantified(expr, place),
            Expr::Subquery(_) | Expr::Exists { .. } => self.subquery(expr, place),
            Expr::InSubquery { expr: inner, subquery, .. } => {
                self.expression(inner, &mut place.within(false));
                self.query(subquery, place.scope);
            }
            _ => {}
        }
    }

    fn binary(&mut self, expr: &mut Expr, place: &mut Place<'_, '_>) {
        let Expr::BinaryOp { left, op, right } = expr else { return };
        if let BinaryOperator::PGCustomBinaryOperator(path) = op
            && let Some(plain) = path.last().and_then(|symbol| plain_operator(symbol))
        {
            *op = plain;
        }
        let shown = *op == BinaryOperator::StringConcat;
        self.expression(left, &mut place.within(shown));
        self.expression(right, &mut place.within(shown));
        if !shown {
            constant_of_column(left, right, place.scope);
            constant_of_column(right, left, place.scope);
        }
        functions_by_oid(left, right, place.scope);
        functions_by_oid(right, left, place.scope);
    }

    /// `x::regclass` and so on.
    fn cast(&mut self, expr: &mut Expr, place: &mut Place<'_, '_>) {
        let (mut inner, mut data_type) = match expr {
            Expr::Cast { expr: inner, data_type, .. } => {
                (std::mem::replace(&mut **inner, value(Value::Null)), data_type.clone())
            }
            Expr::TypedString(TypedString { data_type, value: text, .. }) => {
                (Expr::Value(text.clone()), data_type.clone())
            }
            _ => return,
        };
        let name = type_name(&data_type);
        if let Some((to_text, to_oid)) = name.as_deref().and_then(reg_functions) {
            self.expression(&mut inner, &mut place.within(false));
            if let (true, Some(name)) = (is_placeholder(&inner), &name) {
                // The parameter is of the type, and arrives as a name or as the digits of an OID.
                inner = cast_of_parameter(inner, name);
            }
            // A constant is looked up; a column of the type holds the name already.
            if place.output && name.as_deref() == Some("regproc") && string_of(&inner).is_some() {
                inner = call(to_oid, vec![inner]);
            }
            *expr = call(if place.output { to_text } else { to_oid }, vec![inner]);
            return;
        }
        if matches!(data_type, DataType::Array(_)) {
            *expr = self.array_cast(inner, data_type, place);
            return;
        }
        let shown = matches!(name.as_deref(), Some("text" | "varchar" | "bpchar" | "name" | "character varying"));
        self.expression(&mut inner, &mut place.within(shown));
        match name.as_deref() {
            Some("oid")
                if place.scope.system_column(&inner).is_some_and(|fact| fact.data_type.oid == oids::REGPROC) =>
            {
                *expr = call("regproc_oid", vec![inner]);
            }
            Some("oid") if !is_placeholder(&inner) => *expr = call("oid", vec![inner]),
            // The least type of ours that holds it.
            Some("xid8") => *expr = cast(inner, DataType::BigInt(None)),
            // Their text is what DataFusion has already.
            Some(
                "int2vector" | "oidvector" | "aclitem" | "regconfig" | "regdictionary" | "regoper" | "regoperator",
            ) => *expr = inner,
            known => {
                if let Some(base) = known.and_then(base_type) {
                    data_type = base;
                }
                *expr = cast(inner, data_type);
            }
        }
    }

    /// Arrays are lists here, or text that one of our functions reads.
    fn array_cast(&mut self, mut inner: Expr, data_type: DataType, place: &mut Place<'_, '_>) -> Expr {
        self.expression(&mut inner, &mut place.within(false));
        // An int2vector stays one: it counts from zero.
        if place.scope.system_column(&inner).is_some_and(is_vector) {
            return inner;
        }
        let element = match &data_type {
            DataType::Array(
                ArrayElemTypeDef::SquareBracket(element, _)
                | ArrayElemTypeDef::AngleBracket(element)
                | ArrayElemTypeDef::Parenthesis(element),
            ) => type_name(element),
            _ => None,
        };
        let reg = element.as_deref().is_some_and(|element| reg_functions(element).is_some());
        let functions = element.as_deref().and_then(reg_functions);
        if let (Some((_, to_oid)), Some(text)) = (functions, string_of(&inner))
            && let Some(names) = plain_elements(text)
        {
            let elements = names.map(|name| call(to_oid, vec![value(Value::SingleQuotedString(name.to_owned()))]));
            return Expr::Array(datafusion::sql::sqlparser::ast::Array { elem: elements.collect(), named: true });
        }
        let name = PgType::parse_name(&data_type.to_string()).filter(|_| !reg || is_placeholder(&inner));
        match name {
            Some(array) => semantics::array_cast(inner, &array.sql_name()),
            None if string_of(&inner).is_some() => call("text_array", vec![inner]),
            None => inner,
        }
    }

    fn function(&mut self, expr: &mut Expr, place: &mut Place<'_, '_>) {
        let Expr::Function(function) = expr else { return };
        if matches!(function.args, FunctionArguments::Subquery(_)) {
            return self.array_subquery(expr, place);
        }
        let path = parts(&function.name);
        if let [schema, name] = path.as_slice()
            && (schema == "pg_catalog" || schema == "information_schema")
        {
            function.name = function_name(name);
        }
        let Some(name) = path.last().cloned() else { return };
        self.arguments(function, &name, place);
        match name.as_str() {
            // The name of what was found, as `regclass` prints it; NULL stays NULL.
            name if place.output && name.strip_prefix("to_").and_then(reg_functions).is_some() => {
                if let Some((to_text, _)) = name.strip_prefix("to_").and_then(reg_functions) {
                    wrap(expr, to_text);
                }
            }
            // A constant that becomes an array of whatever the first argument is an array of.
            "coalesce" => {
                if let (Some(array), Some(empty), None) =
                    (take_argument(function, 0), take_argument(function, 1), take_argument(function, 2))
                    && string_of(&empty).is_some_and(|text| text.trim() == "{}")
                {
                    *expr = call("array_or_empty", vec![array]);
                }
            }
            // Set-returning functions of a select list.
            "_pg_expandarray" => wrap(expr, "unnest"),
            "generate_series" if place.output => wrap(expr, "unnest"),
            "generate_subscripts" => {
                if let Some(array) = take_argument(function, 0) {
                    let bound = |name: &str| call(name, vec![array.clone(), number(1)]);
                    let range = call("generate_series", vec![bound("array_lower"), bound("array_upper")]);
                    *expr = call("unnest", vec![range]);
                }
            }
            "unnest" => {
                if let Some(array) = take_argument(function, 0) {
                    *expr = call("unnest", vec![as_list(array, place.scope)]);
                }
            }
            _ => {}
        }
    }

    fn arguments(&mut self, function: &mut Function, name: &str, place: &mut Place<'_, '_>) {
        let shown = TEXT_FUNCTIONS.contains(&name);
        if let FunctionArguments::List(list) = &mut function.args {
            for argument in &mut list.args {
                if let FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))
                | FunctionArg::Named { arg: FunctionArgExpr::Expr(argument), .. } = argument
                {
                    self.expression(argument, &mut place.within(shown));
                }
            }
            for clause in &mut list.clauses {
                if let FunctionArgumentClause::OrderBy(order) = clause {
                    for by in order {
                        self.expression(&mut by.expr, &mut place.within(true));
                    }
                }
            }
        }
        if let Some(filter) = &mut function.filter {
            self.expression(filter, &mut place.within(false));
        }
    }

    /// `(f(x)).field` and `array[index]`.
    fn access(&mut self, expr: &mut Expr, place: &mut Place<'_, '_>) {
        let Expr::CompoundFieldAccess { root, access_chain } = expr else { return };
        // `t.a[1]` is parsed as `t` with the accesses `.a` and `[1]`; `(t.a).b` has its parentheses.
        while let Some(AccessExpr::Dot(Expr::Identifier(field))) = access_chain.first() {
            let mut names = match root.as_ref() {
                Expr::Identifier(name) => vec![name.clone()],
                Expr::CompoundIdentifier(names) => names.clone(),
                _ => break,
            };
            names.push(field.clone());
            **root = Expr::CompoundIdentifier(names);
            access_chain.remove(0);
        }
        self.expression(root, &mut place.within(false));
        for access in access_chain.iter_mut() {
            if let AccessExpr::Subscript(Subscript::Index { index }) = access {
                self.expression(index, &mut place.within(false));
            }
        }
        match access_chain.as_slice() {
            [AccessExpr::Dot(Expr::Identifier(field))] => {
                let root = std::mem::replace(&mut **root, value(Value::Null));
                *expr = call(semantics::FIELD, vec![unnested(root), string(folded(field))]);
            }
            [AccessExpr::Subscript(Subscript::Index { index })]
                if place.scope.system_column(root).is_some_and(is_vector) =>
            {
                let index = index.clone();
                let root = std::mem::replace(&mut **root, value(Value::Null));
                *expr = call("vector_subscript", vec![root, index]);
            }
            [AccessExpr::Subscript(Subscript::Index { index })]
                if place.scope.system_column(root).is_some_and(|fact| fact.data_type.oid == oids::NAME) =>
            {
                let index = index.clone();
                let root = std::mem::replace(&mut **root, value(Value::Null));
                *expr = call("name_subscript", vec![root, index]);
            }
            _ => {}
        }
    }

    /// `x = ANY (array)`, `x <> ALL (array)`, and both over subqueries.
    fn quantified(&mut self, expr: &mut Expr, place: &mut Place<'_, '_>) {
        let (left, op, right, any) = match expr {
            Expr::AnyOp { left, compare_op, right, .. } => (left, compare_op, right, true),
            Expr::AllOp { left, compare_op, right } => (left, compare_op, right, false),
            _ => return,
        };
        if let BinaryOperator::PGCustomBinaryOperator(path) = op
            && let Some(plain) = path.last().and_then(|symbol| plain_operator(symbol))
        {
            *op = plain;
        }
        let negated = match (&*op, any) {
            (BinaryOperator::Eq, true) => false,
            (BinaryOperator::NotEq, false) => true,
            _ => {
                self.expression(left, &mut place.within(false));
                self.expression(right, &mut place.within(false));
                return;
            }
        };
        let mut left = std::mem::replace(&mut **left, value(Value::Null));
        let mut right = std::mem::replace(&mut **right, value(Value::Null));
        if let Expr::Subquery(subquery) = &mut right {
            self.expression(&mut left, &mut place.within(false));
            self.query(subquery, place.scope);
            let subquery = std::mem::replace(subquery, Box::new(super::subquery::no_query()));
            *expr = Expr::InSubquery { expr: Box::new(left), subquery, negated };
            return;
        }
        self.expression(&mut left, &mut place.within(false));
        self.expression(&mut right, &mut place.within(false));
        // An array that says nothing of its type is one of the column's.
        if is_placeholder(&right)
            && let Some(array) = place.scope.system_column(&left).and_then(|fact| fact.data_type.array())
        {
            right = semantics::array_cast(right, &array.sql_name());
        }
        let equal = call("array_any_equal", vec![right, left]);
        *expr = if negated { Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(equal) } } else { equal };
    }
}

/// `unnest(_pg_expandarray(x))` is what has a field, whatever parentheses are around it.
fn unnested(root: Expr) -> Expr {
    match root {
        Expr::Nested(inner) => unnested(*inner),
        other => other,
    }
}

/// `LIKE 'pg/_%' ESCAPE '/'` as `LIKE 'pg\_%'`: DataFusion escapes with a backslash only.
fn escape_with_backslash(pattern: &mut Expr, escape: &mut Option<ValueWithSpan>) {
    let Some(ValueWithSpan { value: Value::SingleQuotedString(character), .. }) = escape else { return };
    let mut characters = character.chars();
    let (Some(character), None) = (characters.next(), characters.next()) else { return };
    let Some(text) = constant_text(pattern).filter(|_| character != '\\') else { return };
    let mut escaped = String::new();
    let mut rest = text.chars();
    while let Some(next) = rest.next() {
        match next {
            next if next == character => {
                escaped.push('\\');
                escaped.extend(rest.next());
            }
            '\\' => escaped.push_str("\\\\"),
            other => escaped.push(other),
        }
    }
    *pattern = string(escaped);
    *escape = None;
}

/// The text of a constant, or of constants put together.
fn constant_text(expr: &Expr) -> Option<String> {
    match expr {
        Expr::BinaryOp { left, op: BinaryOperator::StringConcat, right } => {
            Some(constant_text(left)? + &constant_text(right)?)
        }
        Expr::Nested(inner) => constant_text(inner),
        other => string_of(other).map(str::to_owned),
    }
}

/// Puts a function around an expression.
fn wrap(expr: &mut Expr, name: &str) {
    let inner = std::mem::replace(expr, value(Value::Null));
    *expr = call(name, vec![inner]);
}

fn take_argument(function: &Function, index: usize) -> Option<Expr> {
    let FunctionArguments::List(list) = &function.args else { return None };
    match list.args.get(index)? {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    }
}

/// `int2vector` and `oidvector`, which are text here.
pub(super) fn is_vector(fact: &ColumnFact) -> bool {
    matches!(fact.data_type.oid, oids::INT2VECTOR | oids::OIDVECTOR)
}

/// An array as an Arrow list, for `unnest`.
pub(super) fn as_list(array: Expr, scope: &Scope<'_>) -> Expr {
    if scope.system_column(&array).is_some_and(is_vector) {
        return call("arrow_cast", vec![call("text_array", vec![array]), string("List(Int64)")]);
    }
    array
}

/// `tableoid`, qualified names of system catalogs' columns, columns of folded functions, session words.
fn column_reference(expr: &mut Expr, scope: &Scope<'_>) {
    let names: Vec<Ident> = match expr {
        Expr::Identifier(name) => vec![name.clone()],
        Expr::CompoundIdentifier(names) => names.clone(),
        _ => return,
    };
    let Some(last) = names.last().map(folded) else { return };
    match scope.find(&names) {
        Found::At(_, fact, item) => {
            if let ItemKind::Folded { columns } = &item.kind {
                if let Some((_, column)) = columns.iter().find(|(name, _)| *name == last) {
                    *expr = column.clone();
                }
                return;
            }
            if let ItemKind::System(relation) = &item.kind
                && fact.is_none()
                && last == "tableoid"
            {
                *expr = number(i64::from(relation.oid));
                return;
            }
            if let ItemKind::System(_) = &item.kind
                && fact.is_none()
                && matches!(last.as_str(), "xmin" | "xmax" | "cmin" | "cmax")
            {
                // The catalog has no transaction ids: 2 is PostgreSQL's FrozenTransactionId, older than all others.
                *expr = number(2);
                return;
            }
            // pg_catalog.pg_class.relname: the FROM item is called by its last name only.
            if names.len() > 2 {
                *expr = Expr::CompoundIdentifier(names[names.len() - 2..].to_vec());
            }
        }
        Found::Nowhere => {
            if let [name] = names.as_slice()
                && name.quote_style.is_none()
                && is_session_word(&name.value)
            {
                *expr = call(&name.value.to_lowercase(), Vec::new());
            }
        }
    }
}

/// `OPERATOR(pg_catalog.~)` as the operator itself.
fn plain_operator(symbol: &str) -> Option<BinaryOperator> {
    Some(match symbol {
        "=" => BinaryOperator::Eq,
        "<>" | "!=" => BinaryOperator::NotEq,
        "<" => BinaryOperator::Lt,
        "<=" => BinaryOperator::LtEq,
        ">" => BinaryOperator::Gt,
        ">=" => BinaryOperator::GtEq,
        "+" => BinaryOperator::Plus,
        "-" => BinaryOperator::Minus,
        "*" => BinaryOperator::Multiply,
        "/" => BinaryOperator::Divide,
        "%" => BinaryOperator::Modulo,
        "||" => BinaryOperator::StringConcat,
        "~" => BinaryOperator::PGRegexMatch,
        "~*" => BinaryOperator::PGRegexIMatch,
        "!~" => BinaryOperator::PGRegexNotMatch,
        "!~*" => BinaryOperator::PGRegexNotIMatch,
        "~~" => BinaryOperator::PGLikeMatch,
        "~~*" => BinaryOperator::PGILikeMatch,
        "!~~" => BinaryOperator::PGNotLikeMatch,
        "!~~*" => BinaryOperator::PGNotILikeMatch,
        _ => return None,
    })
}

/// The elements of an array's text that has no quotes.
fn plain_elements(text: &str) -> Option<impl Iterator<Item = &str>> {
    let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    let plain = !inner.is_empty() && !inner.contains(['"', '\\', '{', '}']);
    plain.then(|| inner.split(',').map(str::trim))
}

/// The last part of a type's name, lower case; `None` for types that SQL spells itself, but for text.
pub(super) fn type_name(data_type: &DataType) -> Option<String> {
    match data_type {
        DataType::Custom(name, _) => last_part(name),
        DataType::Regclass => Some("regclass".to_owned()),
        DataType::Text => Some("text".to_owned()),
        DataType::Varchar(_) | DataType::CharacterVarying(_) | DataType::CharVarying(_) => Some("varchar".to_owned()),
        _ => None,
    }
}

fn last_part(name: &ObjectName) -> Option<String> {
    parts(name).pop()
}

/// What a domain of `information_schema` is based on, and other types that are held as another.
pub(super) fn base_type(name: &str) -> Option<DataType> {
    Some(match name {
        "sql_identifier" => DataType::Custom(ObjectName::from(vec![Ident::new("name")]), Vec::new()),
        "character_data" | "cstring" | "pg_node_tree" => DataType::Text,
        "yes_or_no" => DataType::Varchar(Some(CharacterLength::IntegerLength { length: 3, unit: None })),
        "cardinal_number" => DataType::Integer(None),
        "time_stamp" => DataType::Timestamp(Some(2), TimezoneInfo::WithTimeZone),
        // Written with its schema, it would be taken for char without quotes.
        "char" => DataType::Custom(ObjectName::from(vec![Ident::with_quote('"', "char")]), Vec::new()),
        _ => return None,
    })
}

fn is_placeholder(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(ValueWithSpan { value: Value::Placeholder(_), .. }))
}

/// A parameter that a cast to a `reg…` type gives its type to: the cast that finds the object is another.
fn cast_of_parameter(parameter: Expr, name: &str) -> Expr {
    call("pg_cast", vec![parameter, string(name)])
}

/// A string constant that is compared with a column of a system catalog is of the column's type: `oid = '16384'`.
fn constant_of_column(column: &Expr, constant: &mut Expr, scope: &Scope<'_>) {
    let Some(text) = string_of(constant) else { return };
    let Some(fact) = scope.system_column(column) else { return };
    match fact.data_type.oid {
        oids::OID | oids::INT2 | oids::INT4 | oids::INT8 | oids::XID => match text.trim().parse::<i64>() {
            Ok(parsed) => *constant = number(parsed),
            // Says what PostgreSQL says of such a constant.
            Err(_) => *constant = call("oid", vec![string(text)]),
        },
        oids::BOOL => match text.trim().to_lowercase().as_str() {
            "t" | "true" | "on" | "yes" | "1" => *constant = value(Value::Boolean(true)),
            "f" | "false" | "off" | "no" | "0" => *constant = value(Value::Boolean(false)),
            _ => {}
        },
        _ if fact.data_type.is_array() && !is_vector(fact) => {
            *constant = call("text_array", vec![string(text)]);
        }
        _ => {}
    }
}

/// A `regproc` column is a function's name here: against anything but text it is compared by OID.
fn functions_by_oid(column: &mut Expr, other: &Expr, scope: &Scope<'_>) {
    let is_proc = |expr: &Expr| scope.system_column(expr).is_some_and(|fact| fact.data_type.oid == oids::REGPROC);
    if is_proc(column) && !is_proc(other) && string_of(other).is_none() {
        wrap(column, "regproc_oid");
    }
}
