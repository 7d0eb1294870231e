//! Arrays of system tables, which are lists: cast to other arrays, collected by `array_agg`.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ListArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, FieldRef};
use atoll_connector_api::types::{PgType, cast, elements};
use datafusion::common::{ScalarValue, exec_err};
use datafusion::error::Result;
use datafusion::functions_aggregate::array_agg::array_agg_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, ColumnarValue, GroupsAccumulator, ReturnFieldArgs, ReversedUDAF,
    ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::{Settings, external};

/// `catalog_array(array, 'type name')`: a cast to an array type whose result is a list.
pub(super) const NAME: &str = "catalog_array";

#[derive(Debug, PartialEq, Eq, Hash)]
struct CatalogArray {
    settings: Settings,
    signature: Signature,
}

/// The function of a session.
pub(super) fn catalog_array(settings: &Settings) -> ScalarUDF {
    ScalarUDF::from(CatalogArray { settings: settings.clone(), signature: Signature::any(2, Volatility::Immutable) })
}

/// A list of an array type's elements.
fn list_of(array_type: &PgType) -> Result<(PgType, FieldRef)> {
    let Some(element) = array_type.element() else {
        return exec_err!("{} is no array type", array_type.sql_name());
    };
    let item = Arc::new(Field::new_list_field(element.storage(), true));
    Ok((element, item))
}

impl CatalogArray {
    fn cast(&self, array: &ArrayRef, source: &PgType, target: &PgType) -> Result<ArrayRef> {
        let (element, item) = list_of(target)?;
        // Text, of a constant or a parameter, is read as what it is cast to.
        let source = if source.is_array() { source } else { target };
        let Some(source_element) = source.element() else { return exec_err!("an array without elements") };
        if array.data_type() == &DataType::Null {
            return Ok(arrow::array::new_null_array(&DataType::List(item), array.len()));
        }
        let (values, rows) = elements(array.as_ref(), source).map_err(external)?;
        let values = if source_element == element {
            values
        } else {
            cast::cast(values.as_ref(), &source_element, &element, &self.settings.style()).map_err(external)?
        };
        let offsets = OffsetBuffer::from_lengths(rows.iter().map(|row| row.as_ref().map_or(0, ExactSizeIterator::len)));
        let valid: NullBuffer = rows.iter().map(Option::is_some).collect::<Vec<_>>().into();
        Ok(Arc::new(ListArray::try_new(item, offsets, values, Some(valid))?))
    }
}

impl ScalarUDFImpl for CatalogArray {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        exec_err!("catalog_array has a field, not a type")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let ([value, _], [_, Some(name)]) = (args.arg_fields, args.scalar_arguments) else {
            return exec_err!("catalog_array takes an array and a type's name");
        };
        let target = self.settings.resolve(name.try_as_str().flatten().unwrap_or_default())?;
        let (_, item) = list_of(&target)?;
        Ok(Arc::new(target.tag(Field::new(value.name(), DataType::List(item), true))))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let ([value, _], [field, _]) = (args.args.as_slice(), args.arg_fields.as_slice()) else {
            return exec_err!("catalog_array takes an array and a type's name");
        };
        let (source, target) = (PgType::of_field(field), PgType::of_field(&args.return_field));
        match value {
            ColumnarValue::Array(array) => self.cast(array, &source, &target).map(ColumnarValue::Array),
            ColumnarValue::Scalar(scalar) => {
                let cast = self.cast(&scalar.to_array_of_size(1)?, &source, &target)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&cast, 0)?))
            }
        }
    }
}

/// DataFusion's `array_agg`, whose list knows what PostgreSQL type its elements are of.
struct TypedArrayAgg {
    inner: Arc<AggregateUDF>,
}

/// `array_agg` over system tables.
pub(super) fn typed_array_agg() -> AggregateUDF {
    AggregateUDF::from(TypedArrayAgg { inner: array_agg_udaf() })
}

impl fmt::Debug for TypedArrayAgg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TypedArrayAgg")
    }
}

impl PartialEq for TypedArrayAgg {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl Eq for TypedArrayAgg {}

impl Hash for TypedArrayAgg {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl AggregateUDFImpl for TypedArrayAgg {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field(&self, fields: &[FieldRef]) -> Result<FieldRef> {
        let plain = self.inner.return_field(fields)?;
        let array = fields.first().and_then(|field| {
            let element = PgType { modifier: -1, ..PgType::of_field(field) };
            if element.is_array() { Some(element) } else { element.array() }
        });
        Ok(match array {
            Some(array) => Arc::new(array.tag(plain.as_ref().clone())),
            None => plain,
        })
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(args)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.inner.accumulator(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        self.inner.create_groups_accumulator(args)
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.inner.order_sensitivity()
    }

    fn with_beneficial_ordering(self: Arc<Self>, ordered: bool) -> Result<Option<Arc<dyn AggregateUDFImpl>>> {
        let inner = self.inner.as_ref().clone().with_beneficial_ordering(ordered)?;
        Ok(inner.map(|inner| Arc::new(Self { inner: Arc::new(inner) }) as Arc<dyn AggregateUDFImpl>))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        match self.inner.reverse_udf() {
            ReversedUDAF::Reversed(inner) => ReversedUDAF::Reversed(Arc::new(AggregateUDF::from(Self { inner }))),
            other => other,
        }
    }

    fn supports_null_handling_clause(&self) -> bool {
        self.inner.supports_null_handling_clause()
    }
}
