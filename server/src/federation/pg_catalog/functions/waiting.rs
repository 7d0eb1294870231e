//! Functions that wait: for time to pass, for an advisory lock. What cancels the statement drops them while they wait.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray, StringViewBuilder};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int64Type};
use async_trait::async_trait;
use atoll_connector_api::types::text::OutputStyle;
use atoll_connector_api::types::{PgType, cast, oids};
use datafusion::error::Result;
use datafusion::logical_expr::async_udf::{AsyncScalarUDF, AsyncScalarUDFImpl};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};

use super::super::advisory::{LockKey, LockMode};
use super::super::current::CurrentContext;
use crate::error::{SqlError, SqlState};
use crate::wire::sqlstate;

/// The functions of this file, which all return `void`.
pub(super) const NAMES: [&str; 5] = [
    "pg_sleep",
    "pg_advisory_lock",
    "pg_advisory_lock_shared",
    "pg_advisory_xact_lock",
    "pg_advisory_xact_lock_shared",
];

/// A year: longer sleeps would overflow clocks.
const SLEEP_SECONDS_MAX: f64 = 31_536_000.0;

/// The functions, bound to a session.
pub(super) fn functions(context: &Arc<CurrentContext>) -> impl Iterator<Item = Arc<ScalarUDF>> {
    NAMES.into_iter().map(|name| {
        let numbers = |count: usize| TypeSignature::Exact(vec![DataType::Int64; count]);
        let signature = match name {
            // Numbers of every kind: the cast is ours.
            "pg_sleep" => Signature::any(1, Volatility::Volatile),
            _ => Signature::one_of(vec![numbers(1), numbers(2)], Volatility::Volatile),
        };
        let function = Waiting { name, signature, context: Arc::clone(context) };
        Arc::new(AsyncScalarUDF::new(Arc::new(function)).into_scalar_udf())
    })
}

#[derive(Debug)]
struct Waiting {
    name: &'static str,
    signature: Signature,
    context: Arc<CurrentContext>,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.context, &other.context)
    }
}

impl Eq for Waiting {}

impl Hash for Waiting {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

/// A number that is one of two, which are 32 bits wide.
fn integer(number: i64) -> Result<i32> {
    let error = || SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "integer out of range");
    Ok(i32::try_from(number).map_err(|_| error())?)
}

impl Waiting {
    async fn wait(&self, arrays: &[ArrayRef], row: usize) -> Result<()> {
        if self.name == "pg_sleep" {
            let seconds = arrays.first().map_or(0.0, |array| array.as_primitive::<Float64Type>().value(row));
            if seconds > 0.0 {
                tokio::time::sleep(Duration::from_secs_f64(seconds.min(SLEEP_SECONDS_MAX))).await;
            }
            return Ok(());
        }
        let context = self.context.get();
        let Some(session) = &context.advisory else {
            return Err(SqlError::unsupported("advisory locks are not supported here").into());
        };
        let numbers: Vec<i64> = arrays.iter().map(|array| array.as_primitive::<Int64Type>().value(row)).collect();
        let key = match numbers.as_slice() {
            [first, second] => LockKey::Two(integer(*first)?, integer(*second)?),
            [only] => LockKey::One(*only),
            _ => return Err(SqlError::internal("a lock without a number").into()),
        };
        let mode = LockMode { shared: self.name.ends_with("_shared"), transaction: self.name.contains("_xact_") };
        Ok(session.lock(key, mode).await?)
    }
}

impl ScalarUDFImpl for Waiting {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(PgType::new(oids::VOID).tag(Field::new(self.name, DataType::Utf8View, true))))
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Err(SqlError::unsupported(format!("{} is not supported here", self.name)).into())
    }
}

#[async_trait]
impl AsyncScalarUDFImpl for Waiting {
    async fn invoke_async_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let mut arrays = args.args.iter().map(|arg| arg.to_array(args.number_rows)).collect::<Result<Vec<_>>>()?;
        if let ("pg_sleep", Some(array), Some(field)) = (self.name, arrays.first_mut(), args.arg_fields.first()) {
            let (own, seconds) = (PgType::of_field(field), PgType::new(oids::FLOAT8));
            let cast = cast::cast(array.as_ref(), &own, &seconds, &OutputStyle::default());
            *array = cast.map_err(|error| sqlstate::connector_error(&error))?;
        }
        let mut results = StringViewBuilder::with_capacity(args.number_rows);
        for row in 0..args.number_rows {
            if arrays.iter().any(|array| array.is_null(row)) {
                results.append_null();
                continue;
            }
            self.wait(&arrays, row).await?;
            results.append_value("");
        }
        Ok(ColumnarValue::Array(Arc::new(results.finish())))
    }
}
