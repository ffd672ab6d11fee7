//! Organizations, their members, roles, invites and domains; users.
//!
//! Written by hand: the schemas call the number of members text, and do not say what is secret.

use super::field::{Hidden, Object};
use super::macros::{levels, model, wire};
use super::projects::{ProjectBasic, TeamBasic};
use crate::rest::Time;
use serde_json::Value;

model! {
    /// An organization, which has projects and members.
    ///
    /// Answered by `/api/organizations/`.
    pub struct Organization {
        /// UUID, by which it is asked for.
        id: Option<String>,
        /// Name that people see.
        name: Option<String>,
        /// Name in URLs.
        slug: Option<String>,
        /// UUID of the logo.
        logo_media_id: Option<String>,
        /// When it was created.
        created_at: Option<Time>,
        /// When it last changed.
        updated_at: Option<Time>,
        /// What the asking user may do in it.
        membership_level: Option<MembershipLevel>,
        /// What its members may do with plugins (0, 3, 6, 9).
        plugins_access_level: Option<i64>,
        /// Its environments that the asking user can see.
        teams: Vec<TeamBasic>,
        /// Its projects that the asking user can see.
        projects: Vec<ProjectBasic>,
        /// What its plan has.
        available_product_features: Vec<Value>,
        /// Whether members are told of new members.
        is_member_join_email_enabled: Option<bool>,
        /// Further settings.
        metadata: Object,
        /// Id in billing.
        customer_id: Option<String>,
        /// Whether members need a second factor.
        enforce_2fa: Option<bool>,
        /// Whether members may invite others.
        members_can_invite: Option<bool>,
        /// Whether members may use personal API keys.
        members_can_use_personal_api_keys: Option<bool>,
        /// Whether dashboards and the like may be shared with people outside.
        allow_publicly_shared_resources: Option<bool>,
        /// How many members it has.
        member_count: Option<i64>,
        /// Whether AI features may see its data.
        is_ai_data_processing_approved: Option<bool>,
        /// `bayesian` or `frequentist`.
        default_experiment_stats_method: Option<String>,
        /// Whether new projects drop IP addresses.
        default_anonymize_ips: Option<bool>,
        /// UUID of the role of new members.
        default_role_id: Option<String>,
        is_active: Option<bool>,
        is_not_active_reason: Option<String>,
        is_pending_deletion: Option<bool>,
    }

    /// An organization, in short.
    ///
    /// Part of [`User`].
    pub struct OrganizationBasic {
        /// UUID.
        id: Option<String>,
        /// Name that people see.
        name: Option<String>,
        /// Name in URLs.
        slug: Option<String>,
        /// UUID of the logo.
        logo_media_id: Option<String>,
        /// What the asking user may do in it.
        membership_level: Option<MembershipLevel>,
        /// Whether members may use personal API keys.
        members_can_use_personal_api_keys: Option<bool>,
        is_active: Option<bool>,
        is_not_active_reason: Option<String>,
        is_pending_deletion: Option<bool>,
    }

    /// A member of an organization.
    ///
    /// Answered by `/api/organizations/{organization_id}/members/`.
    pub struct OrganizationMember {
        /// UUID of the membership.
        id: Option<String>,
        /// Who; asked for by the UUID.
        user: Option<UserBasic>,
        /// What they may do.
        level: Option<MembershipLevel>,
        /// When they joined.
        joined_at: Option<Time>,
        /// When it last changed.
        updated_at: Option<Time>,
        /// Whether they have a second factor.
        is_2fa_enabled: Option<bool>,
        /// Whether they log in by another service.
        has_social_auth: Option<bool>,
        /// When they last logged in.
        last_login: Option<Time>,
    }

    /// An invitation to an organization.
    ///
    /// Answered by `/api/organizations/{organization_id}/invites/`.
    pub struct OrganizationInvite {
        /// UUID, by which it is asked for.
        id: Option<String>,
        /// Address of who is invited.
        target_email: Option<String>,
        /// Their first name.
        first_name: Option<String>,
        /// Whether PostHog tried to mail it.
        emailing_attempt_made: Option<bool>,
        /// What they will be able to do.
        level: Option<MembershipLevel>,
        /// Whether it is too old.
        is_expired: Option<bool>,
        /// Who created it.
        created_by: Option<UserBasic>,
        /// When it was created.
        created_at: Option<Time>,
        /// When it last changed.
        updated_at: Option<Time>,
        /// Text that comes with it.
        message: Option<String>,
        /// Restricted projects that they will be able to see.
        private_project_access: Option<Value>,
    }

    /// A domain whose users log in to an organization.
    ///
    /// Answered by `/api/organizations/{organization_id}/domains/`.
    pub struct OrganizationDomain {
        /// UUID, by which it is asked for.
        id: Option<String>,
        /// The domain.
        domain: Option<String>,
        /// Whether it is shown to be the organization's.
        is_verified: Option<bool>,
        /// When it was.
        verified_at: Option<Time>,
        /// Text of the DNS record that shows it.
        verification_challenge: Option<Hidden>,
        /// Whether its users become members by logging in.
        jit_provisioning_enabled: Option<bool>,
        /// How its users must log in.
        sso_enforcement: Option<String>,
        /// Whether SAML is set up.
        has_saml: Option<bool>,
        /// SAML entity.
        saml_entity_id: Option<String>,
        /// SAML URL.
        saml_acs_url: Option<String>,
        /// SAML certificate.
        saml_x509_cert: Option<String>,
        /// Whether SCIM is set up.
        has_scim: Option<bool>,
        scim_enabled: Option<bool>,
        scim_base_url: Option<String>,
        /// Token for SCIM: only in the answer that made it.
        scim_bearer_token: Option<Hidden>,
    }

    /// A role, which gives its members access.
    ///
    /// Answered by `/api/organizations/{organization_id}/roles/`.
    pub struct Role {
        /// UUID, by which it is asked for.
        id: Option<String>,
        /// Name that people see.
        name: Option<String>,
        /// When it was created.
        created_at: Option<Time>,
        /// Who created it.
        created_by: Option<UserBasic>,
        /// Who has it.
        members: Vec<RoleMembership>,
        /// Whether new members get it.
        is_default: Option<bool>,
    }

    /// Somebody's role.
    ///
    /// Answered by `/api/organizations/{organization_id}/roles/{role_id}/role_memberships/`.
    pub struct RoleMembership {
        /// UUID, by which it is asked for.
        id: Option<String>,
        /// UUID of the role.
        role_id: Option<String>,
        /// The member.
        organization_member: Option<OrganizationMember>,
        /// Who.
        user: Option<UserBasic>,
        /// Since when.
        joined_at: Option<Time>,
        /// When it last changed.
        updated_at: Option<Time>,
        /// UUID of who.
        user_uuid: Option<String>,
    }

    /// A user, as they see themselves.
    ///
    /// Answered by `/api/users/` and `/api/users/@me/`.
    pub struct User {
        /// Number.
        id: Option<i64>,
        /// UUID, by which it is asked for.
        uuid: Option<String>,
        /// Distinct id in PostHog's own analytics.
        distinct_id: Option<Hidden>,
        /// When they signed up.
        date_joined: Option<Time>,
        /// First name.
        first_name: Option<String>,
        /// Last name.
        last_name: Option<String>,
        /// Address.
        email: Option<String>,
        /// Address that is not confirmed yet.
        pending_email: Option<String>,
        /// Whether the address is confirmed.
        is_email_verified: Option<bool>,
        /// What they are told by mail.
        notification_settings: Object,
        /// Whether PostHog's own analytics leave out who they are.
        anonymize_data: Option<bool>,
        /// `disabled` or `toolbar`.
        toolbar_mode: Option<String>,
        /// Whether they have a password.
        has_password: Option<bool>,
        /// Whether they administrate this PostHog.
        is_staff: Option<bool>,
        /// Whether PostHog's support acts as them.
        is_impersonated: Option<bool>,
        /// Until when.
        is_impersonated_until: Option<Time>,
        /// When they must log in again for sensitive changes.
        sensitive_session_expires_at: Option<Time>,
        /// The environment they are in.
        team: Option<TeamBasic>,
        /// The organization they are in.
        organization: Option<Organization>,
        /// All their organizations.
        organizations: Vec<OrganizationBasic>,
        /// Columns of their list of events.
        events_column_config: Option<Value>,
        /// Whether they have a second factor.
        is_2fa_enabled: Option<bool>,
        /// Whether they log in by another service.
        has_social_auth: Option<bool>,
        /// Whether they must log in by another service.
        has_sso_enforcement: Option<bool>,
        /// Introductions they have seen.
        has_seen_product_intro_for: Option<Value>,
        /// Pages that they changed.
        scene_personalisation: Vec<ScenePersonalisation>,
        /// `light`, `dark` or `system`.
        theme_mode: Option<String>,
        /// Their hedgehog.
        hedgehog_config: Option<Value>,
        /// What they do: `engineering`, `data`, `product`, ….
        role_at_organization: Option<String>,
        /// Whether PostHog's support may act as them.
        allow_impersonation: Option<bool>,
        is_impersonated_read_only: Option<bool>,
        allow_sidebar_suggestions: Option<bool>,
        shortcut_position: Option<String>,
        passkeys_enabled_for_2fa: Option<bool>,
        is_organization_first_user: Option<bool>,
        pending_invites: Vec<Object>,
    }

    /// A user, as others see them.
    ///
    /// Part of most models: who created it, who changed it.
    pub struct UserBasic {
        /// Number.
        id: Option<i64>,
        /// UUID.
        uuid: Option<String>,
        /// Distinct id in PostHog's own analytics.
        distinct_id: Option<Hidden>,
        /// First name.
        first_name: Option<String>,
        /// Last name.
        last_name: Option<String>,
        /// Address.
        email: Option<String>,
        /// Whether the address is confirmed.
        is_email_verified: Option<bool>,
        /// Their hedgehog.
        hedgehog_config: Object,
        /// What they do: `engineering`, `data`, `product`, ….
        role_at_organization: Option<String>,
    }

    /// A page that a user changed.
    ///
    /// Part of [`User`].
    pub struct ScenePersonalisation {
        /// Page.
        scene: Option<String>,
        /// Number of the dashboard it shows.
        dashboard: Option<i64>,
    }

    /// A personal API key: what it may be used for.
    ///
    /// Answered by `/api/personal_api_keys/` and `/api/personal_api_keys/@current/`.
    pub struct PersonalApiKey {
        /// Id, by which it is asked for.
        id: Option<String>,
        /// Label that people see.
        label: Option<String>,
        /// The key: only in the answer that made it.
        value: Option<Hidden>,
        /// Its last characters.
        mask_value: Option<String>,
        /// What it may do, such as `feature_flag:read`; `*` is everything.
        scopes: Vec<String>,
        /// Numbers of the projects it is for; empty: all.
        scoped_teams: Vec<i64>,
        /// UUIDs of the organizations it is for; empty: all.
        scoped_organizations: Vec<String>,
        /// When it was created.
        created_at: Option<Time>,
        /// When it was last used.
        last_used_at: Option<Time>,
        /// When its value was last renewed.
        last_rolled_at: Option<Time>,
        /// Number of whose it is.
        user_id: Option<i64>,
    }
}

levels! {
    /// What a member of an organization may do.
    pub enum MembershipLevel {
        /// Use it.
        Member = 1,
        /// Change settings and members.
        Admin = 8,
        /// Everything.
        Owner = 15,
    }
}
