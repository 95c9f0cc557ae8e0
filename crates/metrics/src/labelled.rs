//! Series with labels that come from outside, such as the id of another member.

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

/// A family whose series are named by one label, such as the id of another member in lower-case
/// hexadecimal. A series appears when it is first asked for; keep what [`ByLabel::get`] returns.
#[derive(Clone, Debug)]
pub struct ByLabel<F>(F);

/// Counters by label.
pub type Counters = ByLabel<IntCounterVec>;
/// Gauges by label.
pub type Gauges = ByLabel<IntGaugeVec>;
/// Histograms by label.
pub type Histograms = ByLabel<HistogramVec>;

impl<F> ByLabel<F> {
    pub(crate) fn new(family: F) -> ByLabel<F> {
        ByLabel(family)
    }
}

macro_rules! by_label {
    ($family:ty => $series:ty) => {
        impl ByLabel<$family> {
            /// The series of this label.
            #[must_use]
            pub fn get(&self, label: &str) -> $series {
                self.0.with_label_values(&[label])
            }

            /// Takes away the series of what is gone for good, such as a removed member.
            pub fn forget(&self, label: &str) {
                // A series that was never used is gone already.
                let _absent = self.0.remove_label_values(&[label]);
            }
        }
    };
}

by_label!(IntCounterVec => IntCounter);
by_label!(IntGaugeVec => IntGauge);
by_label!(HistogramVec => Histogram);
