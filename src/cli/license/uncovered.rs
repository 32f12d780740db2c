//! Usage in the time of a customer's licenses that none of them covers, in words.

use crate::billing::amount::Amount;
use crate::billing::id::{CustomerId, ProjectId};

/// Says how much usage of a project that has come to a customer no license covers, though the
/// customer's are good for its time; `None` where there is none.
pub(in crate::cli) fn uncovered_words(
    project_id: &ProjectId,
    customer_id: &CustomerId,
    uncovered: &Amount,
) -> Option<String> {
    (!uncovered.is_zero()).then(|| {
        format!(
            "{uncovered} of project {project_id}'s usage lies in the time of customer \
             {customer_id}'s licenses and stays uncovered: a license covers what is recorded from \
             now on"
        )
    })
}
