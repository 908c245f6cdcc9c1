//! Who may send to the queue: the bucket, and nobody else on its account's behalf.

use serde_json::{Value, json};

/// The statement of the policy that is Roomtone's.
const STATEMENT: &str = "RoomtoneBucketEvents";

/// Lets the bucket send, in the words of IAM. Without the two conditions any bucket of anybody could
/// (the confused deputy problem).
pub(super) fn statement(queue_arn: &str, bucket_arn: &str, account: &str) -> Value {
    json!({
        "Sid": STATEMENT,
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": {
            "ArnEquals": {"aws:SourceArn": bucket_arn},
            "StringEquals": {"aws:SourceAccount": account},
        },
    })
}

/// The policy with the statement in it; none where it is there already. What else it says stays.
pub(super) fn with(policy: Option<&str>, statement: &Value) -> Option<Value> {
    let empty = || json!({"Version": "2012-10-17", "Statement": []});
    let mut policy = policy.and_then(|policy| serde_json::from_str::<Value>(policy).ok()).unwrap_or_else(empty);
    // IAM takes one statement without a list around it.
    let mut statements = match policy.get_mut("Statement").map(Value::take) {
        Some(Value::Array(statements)) => statements,
        Some(one @ Value::Object(_)) => vec![one],
        _ => Vec::new(),
    };
    if statements.contains(statement) {
        return None;
    }
    statements.retain(|other| other.get("Sid").and_then(Value::as_str) != Some(STATEMENT));
    statements.push(statement.clone());
    policy["Statement"] = Value::Array(statements);
    Some(policy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours() -> Value {
        statement("arn:aws:sqs:eu-central-1:1:q", "arn:aws:s3:::talks", "1")
    }

    #[test]
    fn what_else_a_policy_says_stays_and_a_second_time_changes_nothing() {
        let fresh = with(None, &ours()).unwrap();
        assert_eq!(fresh["Statement"], json!([ours()]));
        assert_eq!(with(Some(&fresh.to_string()), &ours()), None);
        let foreign = json!({"Sid": "Theirs", "Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": "*"});
        for statements in [json!([foreign]), foreign.clone()] {
            let policy = json!({"Version": "2012-10-17", "Id": "x", "Statement": statements}).to_string();
            let merged = with(Some(&policy), &ours()).unwrap();
            assert_eq!((&merged["Statement"], &merged["Id"]), (&json!([foreign, ours()]), &json!("x")));
            assert_eq!(with(Some(&merged.to_string()), &ours()), None);
        }
    }

    #[test]
    fn an_older_statement_of_ours_is_replaced() {
        let older = statement("arn:aws:sqs:eu-central-1:1:q", "arn:aws:s3:::other", "1");
        let policy = with(None, &older).unwrap().to_string();
        assert_eq!(with(Some(&policy), &ours()).unwrap()["Statement"], json!([ours()]));
    }
}
