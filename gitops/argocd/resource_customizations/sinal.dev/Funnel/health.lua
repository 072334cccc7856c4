-- Health of Sinal's kinds for Argo CD, from status.conditions. They follow kstatus: observedGeneration is the generation
-- that was judged, and Ready says whether the object works as declared.

-- Reasons of Ready=False that pass by themselves, because another object or the operator is still at work.
local passing = { Pending = true, Deleting = true, TenantNotReady = true }

local function condition(name)
  if obj.status ~= nil and obj.status.conditions ~= nil then
    for _, one in ipairs(obj.status.conditions) do
      if one.type == name then
        return one
      end
    end
  end
  return nil
end

local paused, ready = condition("Paused"), condition("Ready")

-- Before all else: while somebody has paused it, the operator judges no new generation.
if paused ~= nil and paused.status == "True" then
  return { status = "Suspended", message = paused.message }
end

if ready == nil or obj.status.observedGeneration == nil then
  return { status = "Progressing", message = "Waiting for the operator" }
end
if obj.status.observedGeneration ~= obj.metadata.generation then
  return { status = "Progressing", message = "Waiting for the operator to take over the latest change" }
end

local message = ready.reason .. ": " .. ready.message
if ready.status == "True" then
  return { status = "Healthy", message = message }
end
if ready.status == "False" and not passing[ready.reason] then
  return { status = "Degraded", message = message }
end
return { status = "Progressing", message = message }
