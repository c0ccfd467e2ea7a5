//! Samples on their way to text.

use std::{borrow::Cow, fmt};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, NoLabelSet, prometheus_text, text},
    metrics::MetricType,
    registry::Registry,
};

use super::{Format, Metric, histogram::Observed};

/// Label and value.
pub(super) type Label = (&'static str, Cow<'static, str>);

/// What a page says, before it is text.
#[derive(Debug, Default)]
pub(super) struct Page(Vec<Family>);

/// The samples of one metric.
#[derive(Debug)]
pub(super) struct Family {
    metric: &'static Metric,
    samples: Vec<(Vec<Label>, Value)>,
}

/// What is said.
#[derive(Debug)]
pub(super) enum Value {
    Number(u64),
    Real(f64),
    Observed(Observed),
}

impl Page {
    /// Go on with this metric. It is described even if nothing is said of it.
    pub fn family(&mut self, metric: &'static Metric) -> &mut Family {
        self.0.push(Family { metric, samples: Vec::new() });
        let last = self.0.len() - 1;
        &mut self.0[last]
    }

    /// A metric without labels.
    pub fn say(&mut self, metric: &'static Metric, value: impl Into<Value>) {
        self.family(metric).add([], value);
    }

    /// As text.
    pub fn encode(self, format: Format) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut out = String::new();
        let done = match format {
            Format::OpenMetrics => text::encode(&mut out, &registry),
            Format::Text => prometheus_text::encode(&mut out, &registry),
        };
        done.expect("a string takes whatever is written");
        out
    }
}

impl Family {
    pub fn add<const N: usize>(&mut self, labels: [Label; N], value: impl Into<Value>) {
        debug_assert!(labels.iter().map(|(name, _)| name).eq(self.metric.labels), "{}", self.metric.name);
        self.samples.push((labels.into(), value.into()));
    }

    fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let (name, unit) = self.metric.parts();
        let mut metric =
            encoder.encode_descriptor(name, self.metric.help, unit.as_ref(), self.metric.kind)?;
        for (labels, value) in &self.samples {
            if self.metric.kind == MetricType::Info {
                metric.encode_info(labels)?;
                continue;
            }
            let mut sample = metric.encode_family(labels)?;
            match (self.metric.kind, value) {
                (MetricType::Counter, Value::Number(number)) => {
                    sample.encode_counter::<NoLabelSet, _, u64>(number, None)?;
                }
                (MetricType::Counter, Value::Real(number)) => {
                    sample.encode_counter::<NoLabelSet, _, u64>(number, None)?;
                }
                (_, Value::Number(number)) => sample.encode_gauge(number)?,
                (_, Value::Real(number)) => sample.encode_gauge(number)?,
                (_, Value::Observed(Observed { sum, count, buckets })) => {
                    sample.encode_histogram::<NoLabelSet>(*sum, *count, buckets, None)?;
                }
            }
        }
        Ok(())
    }
}

impl Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|family| family.encode(&mut encoder))
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Number(number as u64)
    }
}

impl From<bool> for Value {
    fn from(yes: bool) -> Self {
        Self::Number(yes.into())
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Real(number)
    }
}

impl From<Observed> for Value {
    fn from(observed: Observed) -> Self {
        Self::Observed(observed)
    }
}
