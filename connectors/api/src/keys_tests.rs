use arrow::array::{ArrayRef, Int32Array, Int64Array};
use arrow::datatypes::{Field, Schema};
use datafusion::logical_expr::Operator::{And, Eq, GtEq, LtEq, Or};
use datafusion::physical_expr::expressions::{CastExpr, in_list, is_null, lit};

use super::*;
use crate::pushdown::{Fidelity, Pushed};
use crate::types::{PgType, oids};
use crate::{ColumnDefinition, Options};

/// Sends integers.
struct Plain;

impl Dialect for Plain {
    fn identifier(&self, name: &str) -> String {
        name.to_owned()
    }

    fn literal(&self, value: &ScalarValue, _: &PgType) -> Option<String> {
        (!value.is_null()).then(|| value.to_string())
    }

    fn comparison(&self, column: &str, _: &PgType, operator: Operator, literal: &str) -> Option<Pushed> {
        Some(Pushed { sql: format!("{column} {operator} {literal}"), fidelity: Fidelity::Identical })
    }

    fn in_list(&self, column: &str, _: &PgType, literals: &[String], _: bool) -> Option<Pushed> {
        Some(Pushed { sql: format!("{column} IN ({})", literals.join(",")), fidelity: Fidelity::Identical })
    }
}

type Expression = Arc<dyn PhysicalExpr>;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("a", DataType::Int32, true), Field::new("b", DataType::Int32, true)]))
}

fn column(name: &str) -> Expression {
    expressions::col(name, &schema()).expect("a column of the schema")
}

fn binary(left: Expression, operator: Operator, right: Expression) -> Expression {
    Arc::new(BinaryExpr::new(left, operator, right))
}

fn range(name: &str, low: i32, high: i32) -> Expression {
    binary(binary(column(name), GtEq, lit(low)), And, binary(column(name), LtEq, lit(high)))
}

fn list(key: Expression, values: ArrayRef) -> Expression {
    Arc::new(InListExpr::try_new_from_array(key, values, false, &schema()).expect("a list of the key's type"))
}

fn sent(filter: &Expression) -> String {
    let columns = ["a", "b"].map(|name| ColumnDefinition::new(name, PgType::new(oids::INT4)));
    let table = TableSpec { name: "t".into(), options: Options::default(), columns: columns.to_vec() };
    let condition = KeyFilters::new(Arc::new(Plain), table).condition(filter, &schema());
    if condition.nothing { "nothing".into() } else { condition.conditions.join(" AND ") }
}

#[test]
fn a_short_list_goes_without_its_bounds() {
    let values = list(column("a"), Arc::new(Int32Array::from(vec![Some(3), Some(1), None, Some(3)])));
    assert_eq!(sent(&binary(range("a", 1, 3), And, values)), "a IN (1,3)");
}

#[test]
fn a_long_list_becomes_bounds() {
    let many: Vec<i32> = (0..=i32::try_from(IN_LIST_MAX).expect("it is small")).collect();
    let most = many.len() - 1;
    let long = list(column("a"), Arc::new(Int32Array::from(many.clone())));
    assert_eq!(sent(&long), format!("(a >= 0 AND a <= {most})"));
    // Each half is short, both are not.
    let half = |values: &[i32]| list(column("a"), Arc::new(Int32Array::from(values.to_vec())));
    let (low, high) = many.split_at(most / 2);
    assert_eq!(sent(&binary(half(low), Or, half(high))), format!("(a >= 0 AND a <= {most})"));
}

#[test]
fn branches_are_united_and_what_one_does_not_say_is_dropped() {
    let first = binary(range("a", 1, 5), And, list(column("b"), Arc::new(Int32Array::from(vec![7]))));
    let second = list(column("a"), Arc::new(Int32Array::from(vec![9])));
    let routed = |second: Expression, last: Expression| -> Expression {
        let branches = vec![(lit(0), Arc::clone(&first)), (lit(1), second)];
        Arc::new(CaseExpr::try_new(Some(column("b")), branches, Some(last)).expect("a case"))
    };
    assert_eq!(sent(&routed(Arc::clone(&second), lit(false))), "(a >= 1 AND a <= 9)");
    // A partition of which nothing is known.
    assert_eq!(sent(&routed(second, lit(true))), "");
}

#[test]
fn an_empty_side_wants_no_row() {
    assert_eq!(sent(&lit(false)), "nothing");
    assert_eq!(sent(&binary(range("a", 1, 5), And, lit(false))), "nothing");
    let (one, two) = (binary(column("a"), Eq, lit(1)), binary(column("a"), Eq, lit(2)));
    assert_eq!(sent(&binary(Arc::clone(&one), And, Arc::clone(&two))), "nothing");
    assert_eq!(sent(&binary(one, Or, two)), "a IN (1,2)");
}

#[test]
fn nulls_are_kept_where_a_join_wants_them() {
    let null = is_null(column("a")).expect("a column");
    let values = list(column("a"), Arc::new(Int32Array::from(vec![4])));
    assert_eq!(sent(&binary(Arc::clone(&null), Or, values)), "(a IN (4) OR (a IS NULL))");
    assert_eq!(sent(&binary(Arc::clone(&null), Or, range("a", 1, 2))), "((a >= 1 AND a <= 2) OR (a IS NULL))");
    assert_eq!(sent(&null), "(a IS NULL)");
}

#[test]
fn keys_of_a_wider_type_are_narrowed() {
    let wide: Expression = Arc::new(CastExpr::new(column("a"), DataType::Int64, None));
    // A value that the column cannot have matches none of its rows.
    let values: ArrayRef = Arc::new(Int64Array::from(vec![5, i64::MAX]));
    assert_eq!(sent(&list(Arc::clone(&wide), values)), "a IN (5)");
    assert_eq!(sent(&list(Arc::clone(&wide), Arc::new(Int64Array::from(vec![i64::MAX])))), "nothing");
    assert_eq!(sent(&binary(Arc::clone(&wide), LtEq, lit(i64::MAX))), "");
    let float: Expression = Arc::new(CastExpr::new(column("a"), DataType::Float32, None));
    assert_eq!(sent(&binary(float, Eq, lit(16_777_216_f32))), "");
}

#[test]
fn a_filter_of_several_keys_is_one_for_each() {
    let filter = binary(binary(column("a"), Eq, lit(1)), And, in_list_of("b", &[2, 3]));
    assert_eq!(sent(&filter), "a IN (1) AND b IN (2,3)");
}

fn in_list_of(name: &str, values: &[i32]) -> Expression {
    in_list(column(name), values.iter().map(|value| lit(*value)).collect(), &false, &schema()).expect("a list")
}
