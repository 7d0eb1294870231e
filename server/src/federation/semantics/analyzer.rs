//! The analyzer's first rule: PostgreSQL's comparisons where no binary operator is written.

use std::sync::Arc;

use atoll_connector_api::types::key::{Comparison, comparison};
use atoll_connector_api::types::{PgType, oids};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::functions::encoding::expr_fn::encode;
use datafusion::logical_expr::expr::{
    AggregateFunction, Between, BinaryExpr, InList, InSubquery, Like, Placeholder, ScalarFunction, Sort, WindowFunction,
};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    Expr, ExprSchemable, Join, LogicalPlan, LogicalPlanBuilder, Operator, ScalarUDF, Sort as SortPlan, Subquery, lit,
};
use datafusion::optimizer::AnalyzerRule;

use crate::error::SqlError;

use super::arithmetic::narrow_literal;
use super::operators::{
    check_operator, common_sides, have_no_common_storage, is_upscaled, needs_key, plan_comparison, take_type, trimmed,
};
use super::subqueries::{outer_references, single, where_true};
use super::{
    Operand, Settings, any, cast, catalog_array, choice, collect, compare, conditions, datetime, fields, float,
    functions, grouping, grouping_columns, lateral, lists, operand, ordered_input, parameters, patterns,
    set_comparison, set_operations, statistics, type_of, windows,
};

/// Our function for a sign before a number.
const NEGATE: &str = "atoll_negate";

/// The rule's name.
pub(super) const NAME: &str = "postgres_comparisons";

/// The rule.
#[derive(Debug)]
pub(super) struct PostgresComparisons {
    settings: Settings,
}

impl PostgresComparisons {
    pub(super) const fn new(settings: Settings) -> Self {
        Self { settings }
    }
}

impl AnalyzerRule for PostgresComparisons {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let plan = grouping_columns::name_keys(ordered_input::order_aggregates(plan)?)?
            .transform_up_with_subqueries(|node| match node {
                LogicalPlan::Join(join) => {
                    let stacked = lateral::stack(join)?;
                    match stacked.data {
                        LogicalPlan::Join(join) => set_operations::join(&self.settings, join),
                        plan => Ok(Transformed::yes(plan)),
                    }
                }
                node => Ok(Transformed::no(node)),
            })?
            .data;
        Ok(plan.transform_up_with_subqueries(|node| self.node(node))?.data)
    }

    fn name(&self) -> &str {
        NAME
    }
}

impl PostgresComparisons {
    fn node(&self, plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
        let mut schema = merge_schema(&plan.inputs());
        if let LogicalPlan::TableScan(scan) = &plan {
            let source = DFSchema::try_from_qualified_schema(scan.table_name.clone(), &scan.source.schema())?;
            schema.merge(&source);
        }
        let plan = parameters::node(plan);
        let names = NamePreserver::new(&plan);
        let plan = plan.map_expressions(|expr| {
            let name = names.save(&expr);
            Ok(expr.transform_up(|expr| self.expression(expr, &schema))?.update_data(|expr| name.restore(expr)))
        })?;
        let plan = plan.transform_data(|plan| match plan {
            LogicalPlan::Sort(sort) => sort_by_keys(sort, &schema),
            LogicalPlan::Join(join) => {
                boolean_condition(&join, &schema)?;
                join_by_keys(join)
            }
            LogicalPlan::Aggregate(aggregate) => grouping::aggregate(aggregate),
            LogicalPlan::Union(union) => set_operations::union(&self.settings, union),
            LogicalPlan::Distinct(distinct) => grouping::distinct(distinct),
            LogicalPlan::Unnest(unnest) => lists::typed_elements(unnest),
            plan => Ok(Transformed::no(plan)),
        })?;
        // A child may have changed its types though this node did not change.
        plan.map_data(LogicalPlan::recompute_schema)
    }

    fn expression(&self, expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
        let expr = parameters::parts_of(negated_interval(expr, schema), schema)?;
        if let Some(planned) = datetime::plan_call(&expr, schema)? {
            return Ok(Transformed::yes(planned));
        }
        if let Some(planned) = datetime::plan_printing(&self.settings, &expr, schema) {
            return Ok(Transformed::yes(planned));
        }
        match expr {
            Expr::ScalarSubquery(subquery) => typed_subquery(subquery),
            Expr::ScalarFunction(call) if choice::is_typed_twice(&call) => {
                Ok(Transformed::yes(call.args.into_iter().next().unwrap_or(Expr::Literal(ScalarValue::Null, None))))
            }
            Expr::Like(mut like) => {
                if patterns::check_like(&like, schema)? {
                    return self.like_bytes(like, schema);
                }
                let padded = self.padded(*like.expr, schema)?;
                like.expr = Box::new(padded.data);
                let matched = self.like_text(like, schema)?;
                Ok(if padded.transformed { Transformed::yes(matched.data) } else { matched })
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right })
                if matches!(
                    op,
                    Operator::RegexMatch | Operator::RegexIMatch | Operator::RegexNotMatch | Operator::RegexNotIMatch
                ) && !pattern_of(&right).is_some_and(functions::is_plain_pattern) =>
            {
                patterns::check(&left, patterns::written(op), &right, schema)?;
                self.matched(*left, op, *right, schema)
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right })
                if matches!(
                    op,
                    Operator::RegexMatch
                        | Operator::RegexIMatch
                        | Operator::RegexNotMatch
                        | Operator::RegexNotIMatch
                        | Operator::LikeMatch
                        | Operator::ILikeMatch
                        | Operator::NotLikeMatch
                        | Operator::NotILikeMatch
                ) =>
            {
                patterns::check(&left, patterns::written(op), &right, schema)?;
                let padded = self.padded(*left, schema)?;
                Ok(padded.update_data(|left| Expr::BinaryExpr(BinaryExpr { left: Box::new(left), op, right })))
            }
            Expr::Between(between) => self.between(between, schema),
            Expr::InList(list) => self.in_list(list, schema),
            Expr::InSubquery(subquery) => self.in_subquery(subquery, schema),
            Expr::SetComparison(call) => set_comparison::plan(&self.settings, call, schema),
            Expr::AggregateFunction(call)
                if call.params.distinct
                    && matches!(call.func.name(), "sum" | "avg")
                    && call
                        .params
                        .args
                        .first()
                        .and_then(|arg| type_of(arg, schema))
                        .is_some_and(|own| matches!(own.oid, atoll_connector_api::types::oids::INTERVAL)) =>
            {
                // Equal intervals are stored differently, and which of them counts nobody knows.
                let message = format!("{}(DISTINCT interval) is not supported", call.func.name());
                Err(SqlError::unsupported(message).into())
            }
            Expr::AggregateFunction(call) if is_of_outer_query(&call) => {
                let message =
                    format!("{} of an outer query's columns in a subquery is not supported", call.func.name());
                Err(SqlError::unsupported(message).into())
            }
            Expr::AggregateFunction(call) => {
                let call = collect::bind(&self.settings, call, schema)?;
                let call = call.transform_data(|call| statistics::bind(&self.settings, call, schema))?;
                let changed = call.transformed;
                let mut call = call.data;
                let guarded = guard_arguments(&mut call, schema)?;
                if changed {
                    return Ok(Transformed::yes(Expr::AggregateFunction(call)));
                }
                let counted = count_distinct(call, schema)?;
                Ok(Transformed::new_transformed(counted.data, counted.transformed || guarded))
            }
            Expr::WindowFunction(call) => {
                let bound = windows::bind(&self.settings, call, schema)?;
                let changed = bound.transformed;
                let mut keyed = window_by_keys(&self.settings, bound.data, schema)?;
                keyed.transformed |= changed;
                Ok(keyed)
            }
            Expr::IsNull(row) if is_composite(&row, schema) => self.fields_are("record_is_null", *row, schema),
            Expr::IsNotNull(row) if is_composite(&row, schema) => self.fields_are("record_is_not_null", *row, schema),
            Expr::BinaryExpr(BinaryExpr { left, op, right })
                if matches!(op, Operator::IsDistinctFrom | Operator::IsNotDistinctFrom)
                    && (is_null(&left) || is_null(&right)) =>
            {
                let tested = if is_null(&right) { left } else { right };
                // A row is NULL here, not its fields: its text is.
                let tested = match is_composite(&tested, schema) {
                    true => Box::new(cast::cast_to(&self.settings, *tested, &PgType::new(oids::TEXT))),
                    false => tested,
                };
                Ok(Transformed::yes(match op {
                    Operator::IsDistinctFrom => Expr::IsNotNull(tested),
                    _ => Expr::IsNull(tested),
                }))
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right })
                if matches!(op, Operator::IsDistinctFrom | Operator::IsNotDistinctFrom) =>
            {
                let before = Expr::BinaryExpr(BinaryExpr { left: left.clone(), op, right: right.clone() });
                let after = plan_comparison(&self.settings, *left, op, *right, schema)?;
                Ok(if after == before { Transformed::no(before) } else { Transformed::yes(after) })
            }
            Expr::ScalarFunction(call) if any::distinct(&call).is_some() => {
                let operator = any::distinct(&call).unwrap_or(Operator::IsDistinctFrom);
                let mut args = call.args;
                let (right, left) = (args.pop(), args.into_iter().next());
                let (Some(left), Some(right)) = (left, right) else {
                    return Err(SqlError::internal("a comparison of one side").into());
                };
                plan_comparison(&self.settings, left, operator, right, schema).map(Transformed::yes)
            }
            Expr::ScalarFunction(ScalarFunction { func, args })
                if func.name() == any::ANY || func.name() == any::ALL =>
            {
                any::plan(&self.settings, func, args, schema)
            }
            Expr::ScalarFunction(call) if call.func.name() == fields::FIELD => Ok(fields::plan(call, schema)),
            Expr::ScalarFunction(call) if call.func.name() == conditions::NAME => {
                conditions::plan(&self.settings, call, schema).map(Transformed::yes)
            }
            Expr::ScalarFunction(ScalarFunction { func, args }) if func.name() == cast::NAME => {
                let args = self.typed_parameter(args)?;
                let call = Expr::ScalarFunction(ScalarFunction { func, args });
                cast::fold(&self.settings, call).map(Transformed::yes)
            }
            Expr::ScalarFunction(ScalarFunction { func, args }) if func.name() == catalog_array::NAME => {
                let typed = self.typed_parameter(args.clone())?;
                let changed = typed != args;
                let call = Expr::ScalarFunction(ScalarFunction { func, args: typed });
                Ok(if changed { Transformed::yes(call) } else { Transformed::no(call) })
            }
            Expr::ScalarFunction(call) => functions::bind(&self.settings, call, schema),
            expr => Ok(Transformed::no(expr)),
        }
    }

    /// Whether a row is NULL as SQL has it: by its fields.
    fn fields_are(&self, function: &'static str, row: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
        functions::bind(&self.settings, ScalarFunction { func: self.ours(function)?, args: vec![row] }, schema)
    }

    fn ours(&self, function: &'static str) -> Result<Arc<ScalarUDF>> {
        let missing = || SqlError::internal("a function of ours is missing").into();
        functions::function(&self.settings, function).map(Arc::new).ok_or_else(missing)
    }

    /// A `char(n)` that is matched with a pattern has its padding.
    fn padded(&self, expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
        let is_padded = type_of(&expr, schema).is_some_and(|own| own.user.is_none() && own.oid == oids::BPCHAR);
        match functions::function(&self.settings, functions::PADDED) {
            Some(func) if is_padded => {
                functions::bind(&self.settings, ScalarFunction { func: Arc::new(func), args: vec![expr] }, schema)
            }
            _ => Ok(Transformed::no(expr)),
        }
    }

    /// `LIKE` of text. DataFusion makes a regular expression of each pattern, whose search of a long text nothing stops:
    /// constants with few wildcards, which sources take too, stay its own, everything else goes to a matcher of ours.
    fn like_text(&self, like: Like, schema: &DFSchema) -> Result<Transformed<Expr>> {
        if let Expr::Literal(value, _) = like.pattern.as_ref() {
            let pattern = value.try_as_str().flatten().unwrap_or_default();
            // One that ends with an escape is an error of PostgreSQL's as soon as a value gets that far.
            let ends_whole = pattern.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 0;
            if ends_whole && pattern.matches('%').count() <= functions::LIKE_WILDCARDS {
                return Ok(Transformed::no(Expr::Like(like)));
            }
        }
        let function = if like.case_insensitive { "text_ilike" } else { "text_like" };
        self.like_by(like, function, schema)
    }

    /// `LIKE` of bytes.
    fn like_bytes(&self, like: Like, schema: &DFSchema) -> Result<Transformed<Expr>> {
        if like.case_insensitive || like.escape_char.is_some() {
            return Err(SqlError::unsupported("ILIKE and ESCAPE are not supported for bytea").into());
        }
        self.like_by(like, "bytea_like", schema)
    }

    /// `LIKE` by a function of ours.
    fn like_by(&self, like: Like, function: &'static str, schema: &DFSchema) -> Result<Transformed<Expr>> {
        let call = ScalarFunction { func: self.ours(function)?, args: vec![*like.expr, *like.pattern] };
        let call = functions::bind(&self.settings, call, schema)?.data;
        Ok(Transformed::yes(if like.negated { Expr::Not(Box::new(call)) } else { call }))
    }

    /// `~` and its kin as the function: DataFusion's patterns are not PostgreSQL's.
    fn matched(&self, left: Expr, op: Operator, right: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
        let left = self.padded(left, schema)?.data;
        let insensitive = matches!(op, Operator::RegexIMatch | Operator::RegexNotIMatch);
        let mut args = vec![left, right];
        if insensitive {
            args.push(lit("i"));
        }
        let call = ScalarFunction { func: self.ours(functions::REGEXP_LIKE)?, args };
        let call = functions::bind(&self.settings, call, schema)?.data;
        let negated = matches!(op, Operator::RegexNotMatch | Operator::RegexNotIMatch);
        Ok(Transformed::yes(if negated { Expr::Not(Box::new(call)) } else { call }))
    }

    /// `$1::integer` says what `$1` is.
    fn typed_parameter(&self, args: Vec<Expr>) -> Result<Vec<Expr>> {
        let ([Expr::Placeholder(placeholder), Expr::Literal(name, _)], None) =
            (args.as_slice(), args.first().and_then(placeholder_field))
        else {
            return Ok(args);
        };
        let data_type = self.settings.resolve(name.try_as_str().flatten().unwrap_or_default())?;
        let bare = PgType { modifier: -1, ..data_type };
        let field = Arc::new(bare.field(&placeholder.id, true));
        let typed = Expr::Placeholder(Placeholder::new_with_field(placeholder.id.clone(), Some(field)));
        Ok(std::iter::once(typed).chain(args.into_iter().skip(1)).collect())
    }

    fn between(&self, between: Between, schema: &DFSchema) -> Result<Transformed<Expr>> {
        let Between { expr, negated, low, high } = between;
        let settings = &self.settings;
        let lower = plan_comparison(settings, (*expr).clone(), Operator::GtEq, (*low).clone(), schema)?;
        let upper = plan_comparison(settings, (*expr).clone(), Operator::LtEq, (*high).clone(), schema)?;
        // Plain comparisons stay BETWEEN, which connectors and DataFusion read more easily.
        if let (Expr::BinaryExpr(lower), Expr::BinaryExpr(upper)) = (&lower, &upper)
            && lower.left == expr
            && upper.left == expr
        {
            let changed = *lower.right != *low || *upper.right != *high;
            let between = Expr::Between(Between { expr, negated, low: lower.right.clone(), high: upper.right.clone() });
            return Ok(if changed { Transformed::yes(between) } else { Transformed::no(between) });
        }
        let both = lower.and(upper);
        Ok(Transformed::yes(if negated { Expr::Not(Box::new(both)) } else { both }))
    }

    fn in_list(&self, list: InList, schema: &DFSchema) -> Result<Transformed<Expr>> {
        let InList { expr, list, negated } = list;
        let Some(Operand::Typed(data_type)) = operand(&expr, schema) else {
            return Ok(Transformed::no(Expr::InList(InList { expr, list, negated })));
        };
        let list = self.one_type(list, &data_type, schema)?;
        if negated {
            // The operator that is missing is the other one.
            for item in &list {
                if let Some(Operand::Typed(own)) = operand(item, schema) {
                    check_operator(&data_type, Operator::NotEq, &own)?;
                }
            }
        }
        let by_rule = matches!(comparison(&data_type), Comparison::Key | Comparison::None | Comparison::Unknown);
        let differs = |item: &Expr| match operand(item, schema) {
            Some(Operand::Typed(own)) => {
                // Trailing blanks of a `char(n)` say nothing.
                !is_stored_alike(&data_type, &own)
                    || needs_key(&own)
                    || is_upscaled(&expr, item, schema)
                    || own.oid == oids::BPCHAR
            }
            _ => false,
        };
        if by_rule || float::is_float(&data_type) || list.iter().any(differs) {
            let mut parts = list
                .into_iter()
                .map(|item| plan_comparison(&self.settings, (*expr).clone(), Operator::Eq, item, schema))
                .collect::<Result<Vec<_>>>()?
                .into_iter();
            let Some(first) = parts.next() else {
                return Ok(Transformed::yes(Expr::Literal(ScalarValue::Boolean(Some(negated)), None)));
            };
            let any = parts.fold(first, Expr::or);
            return Ok(Transformed::yes(if negated { Expr::Not(Box::new(any)) } else { any }));
        }
        let mut changed = false;
        let mut items = Vec::with_capacity(list.len());
        for item in list {
            if operand(&item, schema) == Some(Operand::Unknown) {
                let typed = trimmed(take_type(&self.settings, item.clone(), &data_type)?, &data_type, &data_type);
                changed |= typed != item;
                items.push(typed);
            } else {
                items.push(item);
            }
        }
        let list = Expr::InList(InList { expr, list: items, negated });
        Ok(if changed { Transformed::yes(list) } else { Transformed::no(list) })
    }
}

impl PostgresComparisons {
    /// Several items without columns are elements of an array in PostgreSQL, whose type they and the value have in common.
    fn one_type(&self, list: Vec<Expr>, value: &PgType, schema: &DFSchema) -> Result<Vec<Expr>> {
        let is_element = |item: &Expr| !item.any_column_refs();
        let types = list.iter().filter(|item| is_element(item)).map(|item| operand(item, schema));
        let Some(types) = types.collect::<Option<Vec<_>>>().filter(|types| types.len() > 1) else {
            return Ok(list);
        };
        let mut common = Some(PgType { modifier: -1, ..value.clone() });
        for own in &types {
            if let (Some(so_far), Operand::Typed(own)) = (&common, own) {
                common = choice::unify(so_far, own).map(|common| PgType { modifier: -1, ..common });
            }
        }
        let Some(common) = common else { return Ok(list) };
        let converted = |item: Expr| match operand(&item, schema) {
            Some(Operand::Typed(own)) if is_element(&item) && !is_stored_alike(&own, &common) => {
                cast::fold(&self.settings, cast::cast_to(&self.settings, narrow_literal(item), &common))
            }
            _ => Ok(item),
        };
        list.into_iter().map(converted).collect()
    }

    /// `x IN (SELECT …)`: by keys where equal values are stored differently, in one type where the sides differ.
    fn in_subquery(&self, call: InSubquery, schema: &DFSchema) -> Result<Transformed<Expr>> {
        let InSubquery { expr, subquery, negated } = call;
        let original = |expr, subquery| Ok(Transformed::no(Expr::InSubquery(InSubquery { expr, subquery, negated })));
        let inner = Arc::clone(subquery.subquery.schema());
        let [column] = &inner.columns()[..] else { return original(expr, subquery) };
        let column = Expr::Column(column.clone());
        let (Some(left_type), Some(right_type)) = (operand(&expr, schema), type_of(&column, inner.as_ref())) else {
            return original(expr, subquery);
        };
        let left = match &left_type {
            Operand::Unknown => take_type(&self.settings, (*expr).clone(), &right_type)?,
            Operand::Typed(_) => (*expr).clone(),
        };
        let known = left_type != Operand::Unknown;
        let left_type = match left_type {
            Operand::Unknown => right_type.clone(),
            Operand::Typed(left_type) => left_type,
        };
        // The sides of the comparison that each row stands for, as an operator would have planned them.
        let mut both = schema.clone();
        both.merge(inner.as_ref());
        let compared = plan_comparison(&self.settings, left.clone(), Operator::Eq, column.clone(), &both)?;
        let (left, right) = common_sides(&self.settings, (left, left_type), (column.clone(), right_type))?;
        let ((left, left_type), (right, right_type)) = (left, right);
        let keyed = [&left_type, &right_type].iter().any(|side| needs_key(side) || float::is_float(side))
            || (known && is_upscaled(&left, &right, &both));
        let converted = right != column || (known && left != *expr);
        let (left, right) = if keyed {
            self.keys_of_sides((left, &left_type), (right, &right_type))
        } else if !converted && is_stored_alike(&left_type, &right_type) {
            if known {
                return original(expr, subquery);
            }
            return Ok(Transformed::yes(Expr::InSubquery(InSubquery { expr: Box::new(left), subquery, negated })));
        } else {
            match compared {
                Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right })
                    if *left == *expr && *right == column =>
                {
                    return original(left, subquery);
                }
                Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => (*left, *right),
                _ => {
                    let shown = |own: &PgType| PgType { modifier: -1, ..own.clone() }.sql_name();
                    let message = format!("{} IN ({}) is not supported", shown(&left_type), shown(&right_type));
                    return Err(SqlError::unsupported(message).into());
                }
            }
        };
        let plan = LogicalPlanBuilder::from(subquery.subquery.as_ref().clone()).project(vec![right])?.build()?;
        let subquery = subquery.with_plan(Arc::new(plan));
        Ok(Transformed::yes(Expr::InSubquery(InSubquery { expr: Box::new(left), subquery, negated })))
    }

    /// Two sides of an equality as what is equal in storage.
    fn keys_of_sides(&self, (left, left_type): (Expr, &PgType), (right, right_type): (Expr, &PgType)) -> (Expr, Expr) {
        let either = |oid: u32| left_type.oid == oid || right_type.oid == oid;
        if float::is_float(left_type) || float::is_float(right_type) {
            let double = PgType::new(oids::FLOAT8);
            let as_double = |expr: Expr, data_type: &PgType| {
                if *data_type == double { expr } else { cast::cast_to(&self.settings, expr, &double) }
            };
            (float::one_zero(as_double(left, left_type)), float::one_zero(as_double(right, right_type)))
        } else {
            let numeric = either(oids::NUMERIC);
            (compare::key_of(left, left_type, numeric), compare::key_of(right, right_type, numeric))
        }
    }
}

/// Whether DataFusion compares two types as PostgreSQL does: integers with integers, text with text, a type with itself.
fn is_stored_alike(left: &PgType, right: &PgType) -> bool {
    let is_integer = |own: &PgType| matches!(own.oid, oids::INT2 | oids::INT4 | oids::INT8);
    let is_text = |own: &PgType| matches!(own.oid, oids::TEXT | oids::VARCHAR | oids::NAME);
    (left.oid == right.oid && left.user == right.user)
        || (is_integer(left) && is_integer(right))
        || (is_text(left) && is_text(right))
}

/// A subquery that gives NULL where it has no row, whatever its column says of itself.
fn nullable(subquery: Subquery) -> Result<Transformed<Subquery>> {
    let plan = &subquery.subquery;
    let never_null = plan.schema().fields().iter().any(|field| !field.is_nullable());
    if !never_null || has_one_row(plan) || !outer_references(plan).is_empty() {
        return Ok(Transformed::no(subquery));
    }
    let (qualifier, field) = plan.schema().qualified_field(0);
    let column = Expr::Column(Column::new(qualifier.cloned(), field.name()));
    let aggregate = single(&column);
    let name = aggregate.schema_name().to_string();
    let value = Expr::Column(Column::new_unqualified(name)).alias_qualified(qualifier.cloned(), field.name());
    let plan = LogicalPlanBuilder::from(plan.as_ref().clone())
        .aggregate(Vec::<Expr>::new(), vec![aggregate])?
        .project(vec![value])?
        .build()?;
    Ok(Transformed::yes(subquery.with_plan(Arc::new(plan))))
}

/// Whether a plan is an aggregate without groups, which has a row of nothing, too.
fn has_one_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => has_one_row(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => has_one_row(&alias.input),
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        LogicalPlan::EmptyRelation(empty) => empty.produce_one_row,
        _ => false,
    }
}

/// A scalar subquery says its type from outside: the value that stands for it forgets it.
fn typed_subquery(subquery: Subquery) -> Result<Transformed<Expr>> {
    let subquery = nullable(subquery)?;
    let changed = subquery.transformed;
    let subquery = subquery.data;
    let field = match &subquery.subquery.schema().fields()[..] {
        [field] => Arc::clone(field),
        _ => return Ok(Transformed::new_transformed(Expr::ScalarSubquery(subquery), changed)),
    };
    let data_type = PgType::of_field(&field);
    let plain = matches!(data_type.oid, oids::TEXT | oids::VARCHAR | oids::NAME) && data_type.user.is_none();
    let expr = Expr::ScalarSubquery(subquery);
    if plain || PgType::of_arrow(field.data_type()) == data_type {
        return Ok(Transformed::new_transformed(expr, changed));
    }
    choice::typed(expr, &data_type).map(Transformed::yes)
}

/// What may fail among an aggregate's arguments is asked of the rows that FILTER leaves: DataFusion computes it for all.
fn guard_arguments(call: &mut AggregateFunction, schema: &DFSchema) -> Result<bool> {
    let Some(filter) = call.params.filter.as_deref().cloned() else { return Ok(false) };
    let may_fail = |expr: &Expr| {
        let is_guarded =
            matches!(expr, Expr::ScalarFunction(call) if choice::is_typed_case(call)) || matches!(expr, Expr::Case(_));
        !is_guarded
            && expr
                .exists(|expr| Ok(matches!(expr, Expr::ScalarFunction(_) | Expr::Cast(_) | Expr::Negative(_))))
                .unwrap_or(false)
    };
    let mut changed = false;
    let params = &mut call.params;
    for expr in params.args.iter_mut().chain(params.order_by.iter_mut().map(|item| &mut item.expr)) {
        if may_fail(expr) && expr.any_column_refs() {
            *expr = where_true(vec![filter.clone()], expr.clone(), schema)?;
            changed = true;
        }
    }
    Ok(changed)
}

/// Whether an aggregate's arguments are the outer query's columns: PostgreSQL computes it there.
fn is_of_outer_query(call: &AggregateFunction) -> bool {
    call.params.args.iter().any(Expr::contains_outer) && !call.params.args.iter().any(Expr::any_column_refs)
}

/// A pattern that is written out.
fn pattern_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(value, _) => value.try_as_str().flatten(),
        _ => None,
    }
}

fn is_composite(expr: &Expr, schema: &DFSchema) -> bool {
    type_of(expr, schema).is_some_and(|own| own.is_composite())
}

/// Whether an expression is the word NULL.
fn is_null(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(value, None) if value.is_null())
}

/// A sign before an interval is the business of [`datetime`].
fn negated_interval(expr: Expr, schema: &DFSchema) -> Expr {
    match expr {
        Expr::ScalarFunction(ScalarFunction { func, mut args })
            if func.name() == NEGATE
                && args.first().and_then(|arg| type_of(arg, schema)).is_some_and(|own| own.oid == oids::INTERVAL) =>
        {
            Expr::Negative(Box::new(args.remove(0)))
        }
        expr => expr,
    }
}

/// The order and partitions of a window.
fn window_by_keys(settings: &Settings, mut call: Box<WindowFunction>, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let mut changed = order_by_keys(&mut call.params.order_by, schema, true)?;
    for item in &mut call.params.order_by {
        match type_of(&item.expr, schema).map(|own| own.oid) {
            // Frames of ranges take neither; their texts have the same order.
            Some(oids::UUID | oids::TIME) => {
                item.expr = cast::cast_to(settings, item.expr.clone(), &PgType::new(oids::TEXT));
            }
            Some(oids::BYTEA) => item.expr = encode(item.expr.clone(), lit("hex")),
            _ => continue,
        }
        changed = true;
    }
    if changed {
        // Frames of ranges take text, not bytes: in hexadecimal the order is the same.
        for item in &mut call.params.order_by {
            if matches!(&item.expr, Expr::ScalarFunction(call) if call.func.name() == compare::KEY) {
                item.expr = encode(item.expr.clone(), lit("hex"));
            }
        }
    }
    for expr in &mut call.params.partition_by {
        grouping::check_equality(expr, schema)?;
        if type_of(expr, schema).is_some_and(|data_type| grouping::groups_by_key(&data_type)) {
            let key = grouping::group_key(expr.clone(), schema);
            changed |= key != *expr;
            *expr = key;
        }
    }
    let call = Expr::WindowFunction(call);
    Ok(if changed { Transformed::yes(call) } else { Transformed::no(call) })
}

/// `peers`: whether it matters which rows are equal, and not their order alone.
pub(super) fn order_by_keys(order: &mut [Sort], schema: &DFSchema, peers: bool) -> Result<bool> {
    let mut changed = false;
    let peers = peers || order.len() > 1;
    for item in order {
        let Some(data_type) = type_of(&item.expr, schema) else { continue };
        grouping::check_order(&item.expr, schema)?;
        if needs_key(&data_type) {
            item.expr = compare::key_of(item.expr.clone(), &data_type, false);
            changed = true;
        } else if float::is_float(&data_type) && peers {
            // Two zeros are peers, so that the next key decides.
            let key = float::one_zero(item.expr.clone());
            changed |= key != item.expr;
            item.expr = key;
        }
    }
    Ok(changed)
}

/// `count(DISTINCT …)` counts keys where equal values are stored differently.
fn count_distinct(mut call: AggregateFunction, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let mut ordered = order_by_keys(&mut call.params.order_by, schema, false)?;
    let counts = call.func.name() == "count";
    if call.params.distinct {
        for arg in &mut call.params.args {
            match arg {
                // A row: its fields by their keys.
                Expr::ScalarFunction(row) if counts && row.func.name() == "struct" => {
                    for field in &mut row.args {
                        grouping::check_equality(field, schema)?;
                        let keyed = type_of(field, schema).is_some_and(|own| grouping::groups_by_key(&own));
                        if keyed {
                            let key = grouping::group_key(field.clone(), schema);
                            ordered |= key != *field;
                            *field = key;
                        }
                    }
                }
                arg => grouping::check_equality(arg, schema)?,
            }
        }
    }
    let keyed = call.params.distinct
        && counts
        && call
            .params
            .args
            .first()
            .and_then(|arg| type_of(arg, schema))
            .is_some_and(|data_type| grouping::groups_by_key(&data_type));
    if !keyed {
        let call = Expr::AggregateFunction(call);
        return Ok(if ordered { Transformed::yes(call) } else { Transformed::no(call) });
    }
    let args: Vec<Expr> = call.params.args.iter().map(|arg| grouping::group_key(arg.clone(), schema)).collect();
    if args == call.params.args && !ordered {
        return Ok(Transformed::no(Expr::AggregateFunction(call)));
    }
    call.params.args = args;
    Ok(Transformed::yes(Expr::AggregateFunction(call)))
}

fn placeholder_field(expr: &Expr) -> Option<&Arc<arrow::datatypes::Field>> {
    match expr {
        Expr::Placeholder(placeholder) => placeholder.field.as_ref(),
        _ => None,
    }
}

/// ORDER BY of a type whose storage has another order.
fn sort_by_keys(mut sort: SortPlan, schema: &DFSchema) -> Result<Transformed<LogicalPlan>> {
    let changed = order_by_keys(&mut sort.expr, schema, false)?;
    Ok(if changed { Transformed::yes(LogicalPlan::Sort(sort)) } else { Transformed::no(LogicalPlan::Sort(sort)) })
}

/// `42804` for `ON` of something else than a truth value.
fn boolean_condition(join: &Join, schema: &DFSchema) -> Result<()> {
    let data_type = join.filter.as_ref().and_then(|filter| type_of(filter, schema));
    match data_type {
        Some(data_type) if data_type.oid != oids::BOOL => Err(conditions::mismatch("JOIN/ON", data_type).into()),
        _ => Ok(()),
    }
}

/// Join keys that are columns: `USING`, `NATURAL`, set operations.
fn join_by_keys(mut join: Join) -> Result<Transformed<LogicalPlan>> {
    let mut changed = false;
    for (left, right) in &mut join.on {
        let types = (type_of(left, join.left.schema()), type_of(right, join.right.schema()));
        let (Some(left_type), Some(right_type)) = types else { continue };
        grouping::check_equality(left, join.left.schema())?;
        grouping::check_equality(right, join.right.schema())?;
        let storages = (left.get_type(join.left.schema())?, right.get_type(join.right.schema())?);
        let upscaled = have_no_common_storage((&storages.0, false), (&storages.1, false));
        if needs_key(&left_type) || needs_key(&right_type) || upscaled {
            let numeric = left_type.oid == atoll_connector_api::types::oids::NUMERIC
                || right_type.oid == atoll_connector_api::types::oids::NUMERIC;
            *left = compare::key_of(left.clone(), &left_type, numeric);
            *right = compare::key_of(right.clone(), &right_type, numeric);
            changed = true;
        } else if float::is_float(&left_type) || float::is_float(&right_type) {
            let keys = (float::one_zero(left.clone()), float::one_zero(right.clone()));
            changed |= keys.0 != *left || keys.1 != *right;
            (*left, *right) = keys;
        }
    }
    Ok(if changed { Transformed::yes(LogicalPlan::Join(join)) } else { Transformed::no(LogicalPlan::Join(join)) })
}
