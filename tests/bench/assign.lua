-- What people write today: a sticky cohort from a hash of the user, one header on each side.
function envoy_on_request(handle)
  local user = handle:headers():get("x-user-id")
  local cohort = "control"
  if user ~= nil then
    local hash = 5381
    for index = 1, #user do
      hash = (hash * 33 + string.byte(user, index)) % 4294967296
    end
    if hash % 1000000 < 500000 then
      cohort = "candidate"
    end
  end
  handle:headers():replace("x-cohort", cohort)
  handle:streamInfo():dynamicMetadata():set("cohort", "name", cohort)
end

function envoy_on_response(handle)
  local metadata = handle:streamInfo():dynamicMetadata():get("cohort")
  handle:headers():replace("x-cohort", metadata and metadata["name"] or "control")
end
