//! Whole queries as this dialect writes them.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Operator;

use atoll_connector_api::subplan::{
    Aggregate, AggregateFunction, ColumnRef, From, Query, RelationId, Scalar, SortKey, Transfer, render,
};
use atoll_connector_api::types::{Arithmetic, PgType, oids};

use super::PostgresDialect;

const DIALECT: PostgresDialect = PostgresDialect { utf8: true };

fn reference(id: usize, name: &str, data_type: PgType) -> ColumnRef {
    let collation = (data_type.storage() == DataType::Utf8View).then_some(100);
    let relation = RelationId(id);
    ColumnRef { relation, name: name.into(), data_type, plain: true, collation, transfer: Transfer::Native }
}

fn column(id: usize, name: &str, oid: u32) -> Scalar {
    Scalar::Column(reference(id, name, PgType::new(oid)))
}

fn table(id: usize, name: &str) -> From {
    From::Table { id: RelationId(id), name: vec!["s".into(), name.into()] }
}

fn call(function: AggregateFunction, argument: Option<Scalar>, oid: u32) -> Scalar {
    let data_type = PgType::new(oid);
    Scalar::Aggregate(Box::new(Aggregate { function, argument, distinct: false, filter: None, data_type }))
}

fn equal(left: Scalar, right: Scalar) -> Scalar {
    Scalar::Compare(Operator::Eq, Box::new(left), Box::new(right))
}

fn written(query: &Query) -> String {
    render(&DIALECT, query).expect("the dialect has it")
}

#[test]
fn groups_are_written_with_conditions_order_and_limit() {
    let (key, count) = (column(7, "k\"ey", oids::TEXT), call(AggregateFunction::Count, None, oids::INT8));
    let least = call(AggregateFunction::Min, Some(key.clone()), oids::TEXT);
    let two = Box::new(Scalar::Literal(ScalarValue::Int64(Some(2))));
    let query = Query {
        filter: vec![Scalar::IsNull(Box::new(column(7, "x", oids::INT4)), true)],
        groups: Some(vec![key.clone()]),
        having: vec![Scalar::Compare(Operator::Gt, Box::new(count.clone()), two)],
        order: vec![
            SortKey { scalar: count.clone(), descending: true, nulls_first: false },
            SortKey { scalar: key.clone(), descending: false, nulls_first: true },
        ],
        limit: Some(3),
        ..Query::over(table(7, "t"), vec![key, count, least])
    };
    assert_eq!(
        written(&query),
        "SELECT r1.\"k\"\"ey\", count(*), min(r1.\"k\"\"ey\" COLLATE \"C\") FROM \"s\".\"t\" r1 \
         WHERE (r1.\"x\" IS NOT NULL) GROUP BY r1.\"k\"\"ey\" HAVING (count(*) > '2'::bigint) \
         ORDER BY count(*) DESC NULLS LAST, r1.\"k\"\"ey\" COLLATE \"C\" ASC NULLS FIRST LIMIT 3"
    );
    // "C" order in another encoding is another order; without an order the same query goes.
    let other = PostgresDialect { utf8: false };
    assert_eq!(render(&other, &query), None);
}

#[test]
fn joins_keep_their_conditions_where_they_were() {
    let on = vec![equal(column(1, "a", oids::INT4), column(2, "a", oids::INT4))];
    let inner = From::Join {
        left: Box::new(table(2, "u")),
        right: Box::new(table(3, "v")),
        outer: false,
        on: vec![equal(column(2, "b", oids::UUID), column(3, "b", oids::UUID))],
    };
    let from = From::Join { left: Box::new(table(1, "t")), right: Box::new(inner), outer: true, on };
    let missing = Query {
        filter: vec![equal(column(4, "a", oids::INT4), column(1, "a", oids::INT4))],
        ..Query::over(table(4, "w"), Vec::new())
    };
    let query = Query {
        filter: vec![Scalar::Exists(Box::new(missing), true)],
        ..Query::over(from, vec![column(3, "c", oids::DATE)])
    };
    assert_eq!(
        written(&query),
        "SELECT r3.\"c\" FROM \"s\".\"t\" r1 LEFT JOIN (\"s\".\"u\" r2 JOIN \"s\".\"v\" r3 ON (r2.\"b\" = r3.\"b\")) \
         ON (r1.\"a\" = r2.\"a\") WHERE (NOT EXISTS (SELECT 1 FROM \"s\".\"w\" r4 WHERE (r4.\"a\" = r1.\"a\")))"
    );
}

#[test]
fn queries_within_queries_name_their_columns() {
    let limited = Query { limit: Some(5), ..Query::over(table(1, "t"), vec![column(1, "a", oids::INT4)]) };
    let union = From::Union { id: RelationId(3), queries: vec![limited.clone(), limited] };
    let sum = call(AggregateFunction::Sum, Some(column(3, "c1", oids::INT4)), oids::INT8);
    let query = Query { groups: Some(Vec::new()), ..Query::over(union, vec![sum]) };
    assert_eq!(
        written(&query),
        "SELECT sum(r2.\"c1\") FROM ((SELECT r1.\"a\" AS \"c1\" FROM \"s\".\"t\" r1 LIMIT 5) UNION ALL \
         (SELECT r1.\"a\" AS \"c1\" FROM \"s\".\"t\" r1 LIMIT 5)) r2"
    );
    let none = Query { limit: Some(5), ..Query::over(table(1, "t"), Vec::new()) };
    assert_eq!(written(&none.counted()), "SELECT count(*) FROM (SELECT 1 FROM \"s\".\"t\" r1 LIMIT 5) r2");
}

#[test]
fn columns_travel_as_text_in_the_answer_only() {
    let address = ColumnRef { transfer: Transfer::Function("inet_out"), ..reference(1, "ip", PgType::new(oids::INET)) };
    let inner = Query::over(table(1, "t"), vec![Scalar::Column(address)]);
    assert_eq!(written(&inner), "SELECT textin(inet_out(r1.\"ip\")) FROM \"s\".\"t\" r1");
    assert_eq!(
        written(&inner.nested(RelationId(2))),
        "SELECT textin(inet_out(r2.\"c1\")) FROM (SELECT r1.\"ip\" AS \"c1\" FROM \"s\".\"t\" r1) r2"
    );
}

#[test]
fn what_differs_is_not_written() {
    let grouped = |data_type: PgType| {
        let key = Scalar::Column(reference(1, "a", data_type));
        let query = Query::over(table(1, "t"), vec![key.clone()]);
        render(&DIALECT, &Query { groups: Some(vec![key]), ..query }).is_some()
    };
    let mood = PgType::user("mood", vec!["sad".into()], false);
    assert!(grouped(PgType::numeric(10, 2)) && grouped(PgType::varchar(3)) && grouped(mood.clone()));
    for oid in [oids::FLOAT8, oids::FLOAT4, oids::NUMERIC, oids::BPCHAR, oids::JSONB, oids::INTERVAL, oids::NAME] {
        assert!(!grouped(PgType::new(oid)), "{oid}");
    }
    let ordered = |data_type: PgType| {
        let scalar = Scalar::Column(reference(1, "a", data_type));
        let order = vec![SortKey { scalar: scalar.clone(), descending: false, nulls_first: false }];
        render(&DIALECT, &Query { order, ..Query::over(table(1, "t"), vec![scalar]) }).is_some()
    };
    assert!(
        ordered(PgType::new(oids::INT8)) && ordered(PgType::new(oids::FLOAT8)) && ordered(PgType::new(oids::NUMERIC))
    );
    assert!(!ordered(mood.clone()) && !ordered(PgType::bpchar(3)) && !ordered(PgType::new(oids::INTERVAL)));
    let joined = |left: ColumnRef, right: ColumnRef| {
        let filter = vec![equal(Scalar::Column(left.clone()), Scalar::Column(right))];
        render(&DIALECT, &Query { filter, ..Query::over(table(1, "t"), vec![Scalar::Column(left)]) }).is_some()
    };
    let text = reference(1, "a", PgType::new(oids::TEXT));
    assert!(joined(text.clone(), text.clone()));
    assert!(!joined(text.clone(), ColumnRef { collation: Some(950), ..text.clone() }));
    assert!(!joined(text.clone(), ColumnRef { plain: false, ..text.clone() }));
    let of = |oid| reference(1, "a", PgType::new(oid));
    for (left, right) in [(oids::INT4, oids::INT8), (oids::INT2, oids::NUMERIC), (oids::FLOAT4, oids::FLOAT8)] {
        assert!(joined(of(left), of(right)), "{left} {right}");
    }
    assert!(joined(text.clone(), ColumnRef { data_type: PgType::varchar(5), ..text.clone() }));
    for (left, right) in [(oids::INT4, oids::FLOAT8), (oids::DATE, oids::TIMESTAMP), (oids::TEXT, oids::BPCHAR)] {
        assert!(!joined(of(left), of(right)), "{left} {right}");
    }
    assert!(!joined(reference(1, "a", mood.clone()), reference(1, "b", mood)));
    let aggregated = |function, oid| {
        let call = call(function, Some(column(1, "a", oid)), oid);
        render(&DIALECT, &Query { groups: Some(Vec::new()), ..Query::over(table(1, "t"), vec![call]) }).is_some()
    };
    assert!(aggregated(AggregateFunction::Avg, oids::NUMERIC) && aggregated(AggregateFunction::Count, oids::JSON));
    assert!(!aggregated(AggregateFunction::Sum, oids::FLOAT8) && !aggregated(AggregateFunction::Max, oids::FLOAT8));
    assert!(!aggregated(AggregateFunction::Min, oids::NUMERIC) && !aggregated(AggregateFunction::Max, oids::UUID));
}

#[test]
fn numeric_arithmetic_is_written_and_division_is_not() {
    let product = |operation| {
        let one = Box::new(Scalar::Literal(ScalarValue::Int32(Some(1))));
        let inner = Scalar::Arithmetic(Arithmetic::Subtract, one, Box::new(column(1, "d", oids::NUMERIC)));
        let product = Scalar::Arithmetic(operation, Box::new(column(1, "p", oids::NUMERIC)), Box::new(inner));
        let sum = call(AggregateFunction::Sum, Some(product), oids::NUMERIC);
        render(&DIALECT, &Query { groups: Some(Vec::new()), ..Query::over(table(1, "t"), vec![sum]) })
    };
    let expected = "SELECT sum((r1.\"p\" * ('1'::integer - r1.\"d\"))) FROM \"s\".\"t\" r1";
    assert_eq!(product(Arithmetic::Multiply).as_deref(), Some(expected));
    assert_eq!(product(Arithmetic::Divide), None);
}
