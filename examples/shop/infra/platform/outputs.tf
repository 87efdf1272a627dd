output "settings_file" {
  description = "Where the settings of the service are."
  value       = local_file.settings.filename
}

output "instance" {
  description = "Name of this instance of the shop."
  value       = random_pet.instance.id
}

output "session_key" {
  description = "Key that sessions are signed with."
  value       = random_password.session.result
  sensitive   = true
}
